"""Time from the start of a process to its first detection and its first training step.

Each run is a fresh process, which imports its framework, builds R50 with random weights and does
the work twice: the first time includes tracing, and optimizing, the graph. Both sides take turns.

Examples:
  python -m benchmarks.start --size=800x1344 --runs=3
  python -m benchmarks.start --size=320x512 --peer=/path/to/python
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks import peer as peer_lib
from benchmarks import run, scene
from benchmarks.arguments import at_least
from benchmarks.peer import Peer

# Group of rows to the row that is measured.
_ROWS = {'inference': 'inference', 'training': 'training_step'}


class Start(NamedTuple):
  """Seconds of one process.

  Attributes:
    ready: from its start until the model has its weights.
    first: of the first detection or training step.
    second: of the second one.
  """

  ready: float
  first: float
  second: float


def measure(peer: Peer | None, group: str, size: str) -> Start:
  """Seconds of a fresh process.

  Args:
    peer: environment of the peer; None for htc_tf.
    group: 'inference' or 'training'.
    size: size of the network input, 'HEIGHTxWIDTH'.
  """
  begin = time.perf_counter()
  with run.side_of(peer, group, size) as side:
    ready = time.perf_counter() - begin
    first, second = (side.measure(_ROWS[group])['seconds'] for _ in range(2))
  return Start(ready, first, second)


def median(starts: Sequence[Start]) -> Start:
  """The median of each figure."""
  return Start(*map(statistics.median, zip(*starts)))


def table(rows: Sequence[tuple[str, str, Start]]) -> str:
  """A table of the medians.

  Args:
    rows: what was measured, the side, and its figures.
  """
  lines: list[tuple[str, ...]] = [
    ('row', 'side', 'ready', 'first', 'second', 'until the first one ends')
  ]
  for name, side, start in rows:
    seconds = (*start, start.ready + start.first)
    lines.append((name, side, *(f'{value:.2f}' for value in seconds)))
  widths = [max(map(len, column)) for column in zip(*lines)]
  return '\n'.join('  '.join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(prog='python -m benchmarks.start', description=__doc__)
  parser.add_argument('--size', default='800x1344', help='HEIGHTxWIDTH (default: %(default)s)')
  parser.add_argument('--runs', type=at_least(1), default=3, help='runs (default: %(default)s)')
  peer_lib.add_arguments(parser)
  return parser


def main(argv: Sequence[str] | None = None, log: Callable[[str], object] = print) -> int:
  """Measure, print the table, and return the exit status."""
  parser = _parser()
  args = parser.parse_args(argv)
  try:
    scene.SceneSizes.parse(args.size)
  except ValueError as error:
    parser.error(str(error))
  sides: dict[str, Peer | None] = {'htc_tf': None}
  peer = peer_lib.of(args)
  if peer is not None:
    sides[run.PEER] = peer
  rows = []
  for group, name in _ROWS.items():
    starts: dict[str, list[Start]] = {side: [] for side in sides}
    for _ in range(args.runs):
      for side, environment in sides.items():
        starts[side].append(measure(environment, group, args.size))
        log(f'{name}, {side}: {", ".join(f"{value:.2f} s" for value in starts[side][-1])}')
    rows += [(name, side, median(figures)) for side, figures in starts.items()]
  log(table(rows))
  return 0


if __name__ == '__main__':
  sys.exit(main())
