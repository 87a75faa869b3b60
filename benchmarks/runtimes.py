"""Time of one image in other runtimes than TensorFlow, beside the predictor in TensorFlow.

All runtimes run in this process in turn, so that other work on the machine slows all of them. They
need the extra htc_tf[runtimes]. Without --model, it is the published R50 with random weights.

Examples:
  python -m benchmarks.runtimes --size=800x1344
  python -m benchmarks.runtimes --model=model --size=256x320 --runtimes=onnx,openvino
  python -m benchmarks.runtimes --size=320x512 --runtimes=onnx,onnx_int8
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_TENSORFLOW = 'tensorflow'
_EXPERIMENT = 'htc_resnet50fpn_1x_coco'
_INT8 = '_int8'  # End of the name of a runtime with convolutions in 8 bits.


class Row(NamedTuple):
  """Figures of a runtime for one image: medians over the runs.

  Attributes:
    name: name of the runtime.
    seconds: time of a run.
    cpu_seconds: time of all processor cores in a run.
    num_detections: number of detections.
  """

  name: str
  seconds: float
  cpu_seconds: float
  num_detections: int


def measure(runs: Mapping[str, Callable[[], int]], repetitions: int) -> list[Row]:
  """A row for each runtime, after one run that is not counted.

  Args:
    runs: name to a function that detects in one image and returns the number of detections.
    repetitions: number of counted runs; all runtimes take turns.
  """
  counts = {name: run() for name, run in runs.items()}
  times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
  for _ in range(repetitions):
    for name, run in runs.items():
      wall, cpu = time.perf_counter(), time.process_time()
      run()
      times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
  rows = []
  for name in runs:
    seconds, cpu_seconds = (statistics.median(column) for column in zip(*times[name]))
    rows.append(Row(name, seconds, cpu_seconds, counts[name]))
  return rows


def table(rows: Sequence[Row], title: str = 'runtime', counted: str = 'detections') -> str:
  """The rows as text, with the ratio of each time to that of the first row.

  Args:
    rows: the rows.
    title: header of their names.
    counted: header of what they count.
  """
  lines = [f'{title:<12}{"seconds":>9}{"ratio":>7}{"cpu s":>9}{"ratio":>7}{counted:>12}']
  first = rows[0]
  for row in rows:
    ratio, cpu_ratio = row.seconds / first.seconds, row.cpu_seconds / first.cpu_seconds
    lines.append(
      f'{row.name:<12}{row.seconds:>9.3f}{ratio:>7.2f}{row.cpu_seconds:>9.3f}{cpu_ratio:>7.2f}'
      f'{row.num_detections:>12}'
    )
  return '\n'.join(lines)


def predictor_of(path: str | None) -> Any:
  """The predictor of a model directory, or of the published R50 with random weights."""
  if path is not None:
    from htc_tf.serving.loading import load_model

    return load_model(path)
  import tf_keras
  from official.core import exp_factory

  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.data.padding import padding_rule
  from htc_tf.modeling import factory
  from htc_tf.modeling.ensemble import Member
  from htc_tf.serving.predictor import HTCPredictor, InputRule

  tf_keras.utils.set_random_seed(0)
  model = factory.build_htc(exp_factory.get_exp_config(_EXPERIMENT).task.model)
  return HTCPredictor([Member(model)], [InputRule(800, 1333, padding_rule([], (1344, 1344)))])


def image_of(height: int, width: int) -> np.ndarray:
  """An image of random squares, [height, width, 3] uint8; both sides are multiples of 8."""
  blocks = np.random.default_rng(0).integers(0, 255, [height // 8, width // 8, 3], np.uint8)
  return np.kron(blocks, np.ones([8, 8, 1], np.uint8))


def _in_tensorflow(predictor: Any, graph: Any, placed: Any) -> Callable[[], int]:
  """A function that runs the predictor's graph on an image in its frame."""
  import tensorflow as tf

  from htc_tf.data import preprocess

  height, width = (int(side) for side in placed.image_shape[0])
  image_shape = tf.constant(placed.image_shape)
  image = preprocess.normalize(tf.constant(placed.images[:, :height, :width]), graph.normalization)
  inputs = preprocess.pad_to(image, placed.images.shape[1:3])
  model = predictor.model
  detect = tf.function(
    lambda images: model.detect({'images': images, 'image_shape': image_shape}).to_dict(),
    autograph=False,
  )
  return lambda: int(detect(inputs)['num_detections'][0])


def _exported(
  graph: Any, name: str, inputs: Mapping[str, np.ndarray], folder: str
) -> Callable[[], int]:
  """A function that runs a runtime on the inputs of a graph; the model is made if it is missing."""
  from htc_tf.serving.runtimes import registry

  runtime, folder = registry.find(name.removesuffix(_INT8)), os.path.join(folder, name)
  path = os.path.join(folder, runtime.model_file)
  if not os.path.exists(path):
    os.makedirs(folder)
    start = time.process_time()
    if name.endswith(_INT8):
      if runtime.convert_to_int8 is None:
        known = ', '.join(registry.names_with_int8())
        raise SystemExit(f'{name}: {runtime.title} has no 8 bits; {known} has')
      runtime.convert_to_int8(graph, folder, [inputs])
    else:
      runtime.convert(graph, folder)
    print(f'{name}: converted in {time.process_time() - start:.0f} s of processor time', flush=True)
  run = runtime.load(path)
  return lambda: int(run(inputs)['num_detections'][0])


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(prog='python -m benchmarks.runtimes', description=__doc__)
  parser.add_argument('--model', help='model directory (default: R50 with random weights)')
  parser.add_argument('--size', default='800x1344', help='HEIGHTxWIDTH (default: %(default)s)')
  parser.add_argument(
    '--runtimes',
    default='onnx,openvino,tflite',
    help='names; onnx_int8 has the ranges of activations in the image that is measured',
  )
  parser.add_argument('--exports', help='folder that keeps the converted models of this size')
  parser.add_argument('--runs', type=int, default=3, help='counted runs (default: %(default)s)')
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Measure, print a table, and return the exit status."""
  args = _parser().parse_args(argv)
  from htc_tf.serving import frame
  from htc_tf.serving.frame_graph import FrameGraph

  height, width = map(int, args.size.split('x'))
  predictor = predictor_of(args.model)
  graph = FrameGraph(predictor, height, width)
  placed = frame.place(image_of(height, width), graph.rule)
  inputs = {'images': placed.images, 'image_shape': placed.image_shape}
  runs: dict[str, Callable[[], int]] = {_TENSORFLOW: _in_tensorflow(predictor, graph, placed)}
  with tempfile.TemporaryDirectory() as temporary:
    for name in args.runtimes.split(','):
      runs[name] = _exported(graph, name, inputs, args.exports or temporary)
  print(f'{args.size}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}')
  print(table(measure(runs, args.runs)))
  return 0


if __name__ == '__main__':
  sys.exit(main())
