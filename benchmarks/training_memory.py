"""Peak memory and time of a training step, measured in a separate process.

Example:
  python -m benchmarks.training_memory --height=800 --width=1344 --instances=20
"""

import argparse
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import resident_bytes

if TYPE_CHECKING:  # The process that starts the measuring one does not import TensorFlow.
  from htc_tf.configs.model import HTC

_PIXELS_PER_BYTE = 8
_MIN_SIDE, _MAX_SIDE = 24, 320


def measure(**options: Any) -> dict[str, Any]:
  """Figures of a training step on a synthetic batch, measured in a fresh process.

  Args:
    **options: flags of this module, e.g. `experiment='htc_resnet50fpn_1x_coco', height=800,
      width=1344, instances=20, precision='bfloat16', override='task.model....=true'`.

  Returns:
    The options, and: `peak_bytes`, largest resident memory of the process; `before_bytes`, resident
    memory before the first step, with model and batch; `variable_bytes`, size of the variables of
    the model; `parameters`, number of weights that training changes; `seconds` and `cpu_seconds`,
    wall time of the last step and its CPU time on all cores; `loss` of the last step.

  Raises:
    subprocess.CalledProcessError: the process ended with an error.
  """
  flags = [f'--{name}={value}' for name, value in options.items()]
  command = [sys.executable, '-m', 'benchmarks.training_memory', '--in_process', *flags]
  done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
  return json.loads(done.stdout.splitlines()[-1])


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  add = parser.add_argument
  add('--experiment', default='htc_resnet50fpn_1x_coco', help='registered name')
  add('--height', type=int, default=800, help='height of the padded images')
  add('--width', type=int, default=1344, help='width of the padded images')
  add('--batch', type=int, default=1, help='number of images')
  add('--instances', type=int, default=20, help='number of objects per image')
  add('--steps', type=int, default=2, help='number of steps')
  add('--precision', default='float32', help='float32, bfloat16 or float16')
  add('--override', default='', help='overrides of the configuration, as for training')
  add('--in_process', action='store_true', help='measure this process instead of a fresh one')
  return parser


def make_batch(
  model: 'HTC', height: int, width: int, batch: int, instances: int
) -> tuple[Any, dict[str, Any]]:
  """A training batch of noise with random rectangles inside the images as objects.

  Args:
    model: configuration of the model.
    height: height of the images, which have no padding; a multiple of 32.
    width: width of the images; a multiple of 32.
    batch: number of images.
    instances: number of objects per image.

  Returns:
    Images and labels, as the input pipeline makes them.
  """
  import numpy as np
  import tensorflow as tf

  rng = np.random.default_rng(0)
  limits = np.array([height, width])
  sides = rng.integers(_MIN_SIDE, np.minimum(_MAX_SIDE, limits), [batch, instances, 2])
  corners = (rng.random([batch, instances, 2]) * (limits - sides)).astype(int)
  boxes = np.concatenate([corners, corners + sides], -1)  # [batch, instances, 4]
  info = np.stack([limits, limits, [1, 1], [0, 0]]).astype(np.float32)
  labels = {
    'gt_boxes': boxes.astype(np.float32),
    'gt_classes': rng.integers(1, model.num_classes, [batch, instances]).astype(np.int32),
    'image_info': np.tile(info, [batch, 1, 1]),
    'source_id': np.arange(batch),
  }
  if model.include_mask:
    masks = np.zeros([batch, instances, height, width // _PIXELS_PER_BYTE], np.uint8)
    for image, row in np.ndindex(batch, instances):
      top, left, bottom, right = boxes[image, row]
      masks[image, row, top:bottom, left // _PIXELS_PER_BYTE : right // _PIXELS_PER_BYTE] = 255
    labels['gt_masks'] = masks
  if model.semantic_head.enabled:
    labels['gt_semantic'] = rng.integers(
      0, model.semantic_head.num_classes, [batch, height, width]
    ).astype(np.uint8)
  images = rng.normal(size=[batch, height, width, 3]).astype(np.float32)
  return tf.constant(images), tf.nest.map_structure(tf.constant, labels)


def _run(args: argparse.Namespace) -> dict[str, Any]:
  """Figures of a few training steps in this process."""
  import time

  import tensorflow as tf
  from official.modeling import performance

  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.configs import parsing
  from htc_tf.tasks.htc import HTCTask

  params = parsing.parse(args.experiment, params_override=args.override).params
  params.runtime.mixed_precision_dtype = args.precision
  if args.precision == 'float16':
    params.runtime.loss_scale = 'dynamic'
  performance.set_mixed_precision_policy(args.precision)
  task = HTCTask(params.task)
  model = task.build_model()
  optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
  images, labels = make_batch(
    params.task.model, args.height, args.width, args.batch, args.instances
  )
  images = tf.cast(images, args.precision)
  step = tf.function(
    lambda images, labels: task.train_step((images, labels), model, optimizer), autograph=False
  )
  before = resident_bytes('VmRSS')
  for _ in range(args.steps):
    start, cpu_start = time.perf_counter(), time.process_time()
    loss = float(step(images, labels)[task.loss])
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
  return {
    **vars(args),
    'peak_bytes': resident_bytes('VmHWM'),
    'before_bytes': before,
    'variable_bytes': sum(v.shape.num_elements() * v.dtype.size for v in model.variables),
    'parameters': sum(v.shape.num_elements() for v in model.trainable_variables),
    'seconds': seconds,
    'cpu_seconds': cpu_seconds,
    'loss': loss,
  }


def main(argv: list[str] | None = None) -> None:
  """Measure and print the figures as JSON."""
  args = _parser().parse_args(argv)
  if args.in_process:
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    figures = _run(args)
  else:
    figures = measure(**{name: value for name, value in vars(args).items() if name != 'in_process'})
  print(json.dumps(figures))


if __name__ == '__main__':
  main()
