"""Time of an export whose weights are constants, beside one of the same model with variables.

Both are loaded, and detect in one image, in this process in turn, so that other work on the machine
slows both. Without --model, it is the published R50 with random weights.

Examples:
  python -m benchmarks.constant_weights --size=800x1344 --runs=5
  python -m benchmarks.constant_weights --model=build/demo/model --size=128x128 --runs=5
"""

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import runtimes
from benchmarks.arguments import at_least

VARIABLES, CONSTANTS = NAMES = ('variables', 'constants')


def write(predictor: Any, folder: str) -> dict[str, str]:
  """Export a model in both forms.

  Args:
    predictor: the model.
    folder: an existing folder.

  Returns:
    Paths of the exports by name.
  """
  from htc_tf.serving import export, frozen_weights

  paths = {name: os.path.join(folder, name) for name in NAMES}
  with mock.patch.object(frozen_weights, 'MAX_BYTES', 0):  # No graph holds any weight.
    export.export_saved_model(predictor, paths[VARIABLES], warmup=False)
  export.export_saved_model(predictor, paths[CONSTANTS], warmup=False)
  return paths


def tables(paths: dict[str, str], image: np.ndarray, repetitions: int) -> Iterator[str]:
  """The time to load each export, then that of detection in an image.

  Args:
    paths: paths of the exports by name.
    image: [height, width, 3] uint8 RGB.
    repetitions: number of counted runs.
  """
  import tensorflow as tf

  loaded: dict[str, Any] = {}

  def load(name: str) -> int:
    loaded[name] = tf.saved_model.load(paths[name])
    return len(loaded[name].model_variables)

  def detect(name: str) -> int:
    outputs = loaded[name].signatures['serving_default'](inputs=tf.constant(image[np.newaxis]))
    return int(outputs['num_detections'][0])

  yield _table('loading', 'variables', load, repetitions)
  yield _table('detection', 'detections', detect, repetitions)


def _table(title: str, counted: str, run: Callable[[str], int], repetitions: int) -> str:
  """A table of the times of both exports, with ratios to those of variables.

  Args:
    title: what `run` does.
    counted: what it returns the number of.
    run: function of the name of an export.
    repetitions: number of counted runs.
  """
  rows = runtimes.measure({name: functools.partial(run, name) for name in NAMES}, repetitions)
  return runtimes.table(rows, title, counted)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.constant_weights', description=__doc__
  )
  parser.add_argument('--model', help='model directory (default: R50 with random weights)')
  parser.add_argument('--size', default='800x1344', help='HEIGHTxWIDTH (default: %(default)s)')
  parser.add_argument(
    '--runs', type=at_least(1), default=5, help='counted runs (default: %(default)s)'
  )
  return parser


def main(argv: Sequence[str] | None = None, log: Callable[[str], object] = print) -> int:
  """Measure, print two tables, and return the exit status."""
  args = _parser().parse_args(argv)
  image = runtimes.image_of(*map(int, args.size.split('x')))
  with tempfile.TemporaryDirectory() as folder:
    paths = write(runtimes.predictor_of(args.model), folder)
    log(f'{args.size}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}')
    for table in tables(paths, image, args.runs):
      log(table)
  return 0


if __name__ == '__main__':
  sys.exit(main())
