"""The command that measures htc_tf, optionally together with mmdetection, and writes the figures.

Examples:
  python -m benchmarks.run
  python -m benchmarks.run --peer=/path/to/python --rows=inference,rpn --sizes=320x512 --runs=3
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tqdm

from benchmarks import measuring, scene, table
from benchmarks import peer as peer_lib
from benchmarks.peer import Peer
from htc_tf import files, progress

PEER = 'mmdet'
# Rows by group. Each group is measured in a separate process. Both groups and single rows can be
# selected by name.
ROWS = {
  'convolution': ('convolution',),
  'inference': ('inference',),
  'precisions': ('inference_bfloat16', 'inference_bfloat16_features'),
  'parts': ('backbone', 'fpn', 'rpn', 'semantic', 'box_stages', 'nms', 'mask_stages', 'paste'),
  'training': ('training_step',),
  'roi_align': ('roi_align', 'roi_align_gradient'),
  'input_pipeline': ('input_pipeline',),
  'evaluation': ('paste_and_encode', 'evaluation'),
}
# Groups that the peer does not have. The measuring process names their rows, '<unit>:<amount>'.
GROWTH = ('growth', 'growth_training')
_DEFAULT_ROWS = (*ROWS, 'growth')

Row = dict[str, Any]


def measure(
  rows: Sequence[str],
  sizes: Sequence[str],
  runs: int,
  peer: Peer | None = None,
  output: files.PathLike | None = None,
) -> list[Row]:
  """The measured rows; every group and size runs in fresh processes, with both sides alternating.

  Args:
    rows: names of groups or of rows.
    sizes: sizes of the network input, 'HEIGHTxWIDTH'.
    runs: number of runs of each row, after one run that is not counted.
    peer: environment of the peer; None to measure htc_tf alone.
    output: JSON file, which is written again after each group; None for no file.

  Returns:
    Rows as described by `table.make_row` and `table.add_shares`.

  Raises:
    ValueError: a row or size does not exist.
  """
  selected = {group: _wanted(group, rows) for group in (*ROWS, *GROWTH)}
  unknown = set(rows) - {*ROWS, *GROWTH, *(row for names in ROWS.values() for row in names)}
  if unknown:
    raise ValueError(
      f'Rows must be among {", ".join([*ROWS, *GROWTH])} or their rows; '
      f'got {", ".join(sorted(unknown))}'
    )
  for size in sizes:
    scene.SceneSizes.parse(size)
  measured = []
  for size in sizes:
    for group, names in selected.items():
      if names is None:
        continue
      measured += _measure_group(group, names, size, runs, peer if group in ROWS else None)
      table.add_shares(measured)
      if output is not None:
        write(output, measured)
  return measured


def side_of(peer: Peer | None, group: str, size: str) -> measuring.Side:
  """A fresh process that measures a group of rows.

  Args:
    peer: environment of the peer; None for htc_tf.
    group: name of the group.
    size: size of the network input, 'HEIGHTxWIDTH'.
  """
  module, python, imports, folder = (
    ('ours', sys.executable, [], '')
    if peer is None
    else ('peer_mmdet', peer.python, peer.imports, peer.path)
  )
  command = [python, '-m', 'benchmarks.side', module, group, size, *imports]
  return measuring.Side(command, peer_lib.environment(folder))


def write(path: files.PathLike, rows: Sequence[Row]) -> None:
  """Write rows as a JSON file, completely or not at all."""
  files.write_bytes(path, (json.dumps(rows, indent=1, allow_nan=False) + '\n').encode())


def report(rows: Sequence[Row]) -> str:
  """The table of figures, and the table of cost by amount."""
  plain = [row for row in rows if ':' not in row['name']]
  costs: dict[str, dict[float, float]] = {}
  for row in rows:
    unit, _, amount = row['name'].partition(':')
    if amount:
      costs.setdefault(f'{unit} ({row["size"]})', {})[int(amount)] = row['seconds']
  texts = ([table.format_rows(plain)] if plain else []) + (
    [table.format_growth(costs)] if costs else []
  )
  return '\n\n'.join(texts)


def _wanted(group: str, rows: Sequence[str]) -> list[str] | None:
  """The selected rows of a group: [] for all that the process lists, None for none."""
  if group in rows:
    return list(ROWS.get(group, ()))
  return [row for row in ROWS.get(group, ()) if row in rows] or None


def _measure_group(
  group: str, names: Sequence[str], size: str, runs: int, peer: Peer | None
) -> list[Row]:
  rows = []
  with side_of(None, group, size) as ours, contextlib.ExitStack() as stack:
    other = None
    if peer is not None:
      other = stack.enter_context(side_of(peer, group, size))
    names = names or list(ours.gmac)
    total = len(names) * (runs + 1)
    with progress.bar(description=f'{group} {size}', unit='run', total=total) as bar:
      for name in names:
        figures = list(_alternate([side for side in (ours, other) if side], name, runs, bar))
        peers = figures[1] if other else []
        rows.append(table.make_row(name, size, figures[0], peers, PEER, ours.gmac[name]))
  return rows


def _alternate(
  sides: Sequence[measuring.Side], name: str, runs: int, bar: tqdm.tqdm
) -> Iterator[list[Mapping[str, float]]]:
  """The counted runs of each side, which alternate."""
  figures = []
  for _ in range(runs + 1):
    figures.append([side.measure(name) for side in sides])
    bar.set_postfix_str(name + ' ' + ' : '.join(f'{run["seconds"]:.3f} s' for run in figures[-1]))
    bar.update()
  # The first run of each side is not counted: it allocates memory and compiles graphs.
  return map(list, zip(*figures[1:]))


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  known = '; '.join(f'{group}: {" ".join(names)}' for group, names in ROWS.items())
  add(
    '--rows',
    default=','.join(_DEFAULT_ROWS),
    help=f'comma-separated groups or rows ({known}; {", ".join(GROWTH)}); default: %(default)s',
  )
  add(
    '--sizes', default='800x1344,320x512', help='sizes of the network input; default: %(default)s'
  )
  add(
    '--runs', type=int, default=5, help='number of counted runs of each row; default: %(default)s'
  )
  peer_lib.add_arguments(parser)
  add('--output', default='build/bench.json', help='JSON file; default: %(default)s')
  return parser


def main(argv: list[str] | None = None) -> None:
  """Measure, write the file and print the tables."""
  parser = _parser()
  args = parser.parse_args(argv)
  if args.runs < 1:
    parser.error('--runs must be at least 1')
  try:
    rows = measure(
      args.rows.split(','), args.sizes.split(','), args.runs, peer_lib.of(args), args.output
    )
  except ValueError as error:
    parser.error(str(error))
  print(report(rows))
  print(f'\n{args.output}: {len(rows)} rows', file=sys.stderr)


if __name__ == '__main__':
  main()
