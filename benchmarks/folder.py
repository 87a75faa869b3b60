"""Images per second of a prediction on a folder, beside the same steps one after another.

A prediction reads the next images and writes what it has found while the model runs. Both ways run
in this process in turn, so that other work on the machine slows both.

Examples:
  python -m benchmarks.folder --model=build/demo/model --images=build/demo/tiles/val
  python -m benchmarks.folder --model=model --images=images --batch_sizes=1,8 --save=overlay,mask
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock


class Row(NamedTuple):
  """Figures of a batch size: medians over the runs.

  Attributes:
    batch_size: number of images per call of the model.
    overlapping: images per second of the prediction.
    in_turn: images per second if every step waits for the one before.
  """

  batch_size: int
  overlapping: float
  in_turn: float


class _Items:
  """`overlap.Ahead` without a thread."""

  def __init__(self, items: Iterator[Any]):
    self._items = items

  def __enter__(self) -> Iterator[Any]:
    return self._items

  def __exit__(self, *_: Any) -> None:
    pass


class _Calls:
  """`overlap.Behind` without a thread."""

  def __enter__(self) -> '_Calls':
    return self

  def add(self, call: Callable[[], object]) -> None:
    call()

  def wait(self) -> None:
    pass

  def __exit__(self, *_: Any) -> None:
    pass


def measure(
  detector: Any, paths: Sequence[str], batch_sizes: Sequence[int], runs: int, save: Sequence[str]
) -> list[Row]:
  """A row for each batch size, after a run that is not counted.

  Args:
    detector: a `predict_files.Detector`.
    paths: image files.
    batch_sizes: numbers of images per call of the model.
    runs: number of counted runs; both ways take turns.
    save: names of the outputs.
  """
  rows = []
  for batch_size in batch_sizes:
    overlapping, in_turn = [], []
    for _ in range(runs + 1):
      overlapping.append(_rate(detector, paths, batch_size, save))
      with (
        mock.patch('htc_tf.serving.overlap.Ahead', _Items),
        mock.patch('htc_tf.serving.overlap.Behind', _Calls),
      ):
        in_turn.append(_rate(detector, paths, batch_size, save))
    rows.append(Row(batch_size, *(statistics.median(each[1:]) for each in (overlapping, in_turn))))
  return rows


def _rate(detector: Any, paths: Sequence[str], batch_size: int, save: Sequence[str]) -> float:
  """Images per second of a prediction."""
  from htc_tf.serving import predict_files

  with tempfile.TemporaryDirectory() as folder:
    output, start = os.path.join(folder, 'out'), time.perf_counter()
    failed = predict_files.predict_files(detector, paths, output, batch_size=batch_size, save=save)
    seconds = time.perf_counter() - start
  if failed:
    raise ValueError(f'{len(failed)} of {len(paths)} images could not be read: {failed[0]}')
  return len(paths) / seconds


def table(rows: Sequence[Row]) -> str:
  """The rows as a Markdown table."""
  lines = ['| batch | images/s | one step after another | ratio |', '|---|---|---|---|']
  for row in rows:
    ratio = row.overlapping / row.in_turn
    lines.append(f'| {row.batch_size} | {row.overlapping:.2f} | {row.in_turn:.2f} | {ratio:.2f} |')
  return '\n'.join(lines)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.folder',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--model', required=True, help='model directory or export')
  parser.add_argument('--images', required=True, help='folder of images')
  parser.add_argument('--batch_sizes', default='1,2,8', help='default: %(default)s')
  parser.add_argument('--save', default='overlay', help='names of outputs (default: %(default)s)')
  parser.add_argument('--runs', type=int, default=3, help='counted runs (default: %(default)s)')
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Measure, print a table, and return the exit status."""
  args = _parser().parse_args(argv)
  from htc_tf.serving import detectors, predict_files

  detector = detectors.load_detector(args.model)
  paths = predict_files.list_images([args.images])
  sizes = [int(size) for size in args.batch_sizes.split(',')]
  print(f'{len(paths)} images, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}')
  print(table(measure(detector, paths, sizes, args.runs, args.save.split(','))))
  return 0


if __name__ == '__main__':
  sys.exit(main())
