"""Measures htc_tf, beside mmdetection where it is installed, and writes the figures.

Examples:
  python -m benchmarks.run
  python -m benchmarks.run --peer=/path/to/python --rows=inference,rpn --sizes=320x512 --runs=3
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tqdm

from benchmarks import measuring, scene, table
from htc_tf import files, processes

PEER = 'mmdet'
# What is measured in one process each; a name of either side of the colon selects.
ROWS = {
  'convolution': ('convolution',),
  'inference': ('inference',),
  'parts': ('backbone', 'fpn', 'rpn', 'semantic', 'box_stages', 'nms', 'mask_stages', 'paste'),
  'training': ('training_step',),
  'roi_align': ('roi_align', 'roi_align_gradient'),
  'input_pipeline': ('input_pipeline',),
  'evaluation': ('paste_and_encode', 'evaluation'),
}
# Without a peer; their rows, '<what>:<amount>', are what the process says it has.
GROWTH = ('growth', 'growth_training')
_DEFAULT_ROWS = (*ROWS, 'growth')
_ROOT = pathlib.Path(__file__).parents[1]

Row = dict[str, Any]


def measure(
  rows: Sequence[str],
  sizes: Sequence[str],
  runs: int,
  peer: tuple[str, str, str] | None = None,
  output: files.PathLike | None = None,
) -> list[Row]:
  """Measures, each group of rows and each size in fresh processes, both sides by turns.

  Args:
    rows: names of groups or of rows.
    sizes: of the network input, 'HEIGHTxWIDTH'.
    runs: how often each row is run after one run that is not counted.
    peer: the Python that has mmdet, a folder for its PYTHONPATH ('' for none) and a module for it
      to import first ('' for none); None: no peer.
    output: JSON file, written anew after each group; None: no file.

  Returns:
    Rows as `table.make_row` and `table.add_shares` make them.

  Raises:
    ValueError: a row or size that does not exist.
  """
  selected = {group: _wanted(group, rows) for group in (*ROWS, *GROWTH)}
  unknown = set(rows) - {*ROWS, *GROWTH, *(row for names in ROWS.values() for row in names)}
  if unknown:
    raise ValueError(f'rows among {", ".join([*ROWS, *GROWTH])}; got {", ".join(sorted(unknown))}')
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


def write(path: files.PathLike, rows: Sequence[Row]) -> None:
  """Writes rows as JSON, whole or not at all."""
  files.write_bytes(path, (json.dumps(rows, indent=1, allow_nan=False) + '\n').encode())


def report(rows: Sequence[Row]) -> str:
  """The table of figures and that of growing cost."""
  plain = [row for row in rows if ':' not in row['name']]
  costs: dict[str, dict[float, float]] = {}
  for row in rows:
    what, _, amount = row['name'].partition(':')
    if amount:
      costs.setdefault(f'{what} ({row["size"]})', {})[int(amount)] = row['seconds']
  texts = ([table.format_rows(plain)] if plain else []) + (
    [table.format_growth(costs)] if costs else []
  )
  return '\n\n'.join(texts)


def _wanted(group: str, rows: Sequence[str]) -> list[str] | None:
  """The rows of a group that are asked for, [] for all that it has; None: nothing of it."""
  if group in rows:
    return list(ROWS.get(group, ()))
  return [row for row in ROWS.get(group, ()) if row in rows] or None


def _measure_group(
  group: str, names: Sequence[str], size: str, runs: int, peer: tuple[str, str, str] | None
) -> list[Row]:
  rows = []
  with _side('ours', sys.executable, [group, size]) as ours, contextlib.ExitStack() as stack:
    other = None
    if peer is not None:
      python, folder, first = peer
      other = stack.enter_context(
        _side('peer_mmdet', python, [group, size, *filter(None, [first])], folder)
      )
    names = names or list(ours.gmac)
    with tqdm.tqdm(total=len(names) * (runs + 1), desc=f'{group} {size}') as bar:
      for name in names:
        figures = list(_alternate([side for side in (ours, other) if side], name, runs, bar))
        peers = figures[1] if other else []
        rows.append(table.make_row(name, size, figures[0], peers, PEER, ours.gmac[name]))
  return rows


def _alternate(
  sides: Sequence[measuring.Side], name: str, runs: int, bar: tqdm.tqdm
) -> Iterator[list[Mapping[str, float]]]:
  """The counted runs of each side; those of the sides follow each other one by one."""
  figures = []
  for _ in range(runs + 1):
    figures.append([side.measure(name) for side in sides])
    bar.set_postfix_str(name + ' ' + ' : '.join(f'{run["seconds"]:.3f} s' for run in figures[-1]))
    bar.update()
  # The first run of a side allocates, and compiles its graph.
  return map(list, zip(*figures[1:]))


def _side(module: str, python: str, arguments: list[str], folder: str = '') -> measuring.Side:
  path = os.pathsep.join(filter(None, [str(_ROOT), folder, os.environ.get('PYTHONPATH')]))
  environment = {
    'TF_CPP_MIN_LOG_LEVEL': '2',
    **os.environ,
    'PYTHONPATH': path,
    # torch would leave out what it takes for a core's second half.
    'OMP_NUM_THREADS': str(processes.usable_cores()),
  }
  return measuring.Side([python, '-m', 'benchmarks.side', module, *arguments], environment)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  known = '; '.join(f'{group}: {" ".join(names)}' for group, names in ROWS.items())
  add(
    '--rows',
    default=','.join(_DEFAULT_ROWS),
    help=f'comma-separated groups or rows ({known}; {", ".join(GROWTH)}); default: %(default)s',
  )
  add('--sizes', default='800x1344,320x512', help='network inputs; default: %(default)s')
  add('--runs', type=int, default=5, help='counted runs of each row; default: %(default)s')
  add('--peer', default='', help='the Python of an environment with mmdet and mmcv')
  add('--peer_path', default='', help="a folder for that Python's PYTHONPATH")
  add('--peer_import', default='', help='a module for that Python to import before mmdet')
  add('--output', default='build/bench.json', help='default: %(default)s')
  return parser


def main(argv: list[str] | None = None) -> None:
  """Measures, writes the file, prints the tables."""
  parser = _parser()
  args = parser.parse_args(argv)
  if args.runs < 1:
    parser.error('--runs: at least 1')
  peer = (args.peer, args.peer_path, args.peer_import) if args.peer else None
  try:
    rows = measure(args.rows.split(','), args.sizes.split(','), args.runs, peer, args.output)
  except ValueError as error:
    parser.error(str(error))
  print(report(rows))
  print(f'\n{args.output}: {len(rows)} rows', file=sys.stderr)


if __name__ == '__main__':
  main()
