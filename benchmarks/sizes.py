"""Cost of the sizes of the model: parameters, arithmetic, and time and memory of a training step.

Each size is measured at the largest image that it takes, with one and with two images a step, in a
process of its own. The images are noise with 20 rectangles as objects; time and memory do not
depend on what is in the images.

Example:
  python -m benchmarks.sizes --sizes=nano,small
"""

import argparse
import sys
from typing import Any, NamedTuple

from benchmarks import training_memory

# Height and width of the network input, both multiples of 32.
_FRAMES = {'nano': (384, 384), 'small': (512, 512), 'base': (800, 1344), 'large': (800, 1344)}
_NUM_CLASSES = 3
_NUM_DETECTIONS = 100
_STEPS = 4  # The first one compiles the graph; the last one is measured.
_BATCHES = (1, 2)
_HEADER = '| size | images | parameters, 1e6 | GMAC | s/step, batch 1, 2 | peak GB, batch 1, 2 |'


class Arithmetic(NamedTuple):
  """Counts of a size.

  Attributes:
    parameters: number of weights, those of the norms included, without their statistics.
    gmac: multiply-accumulates of inference on one image, in 1e9.
  """

  parameters: int
  gmac: float


def count(size: str) -> Arithmetic:
  """The counts of a size for `_NUM_CLASSES` classes and its largest image."""
  from official.core import exp_factory

  from benchmarks import gmac
  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.convert import conversion, mmdet_names
  from htc_tf.tasks.htc import HTCTask

  task = HTCTask(exp_factory.get_exp_config(f'htc_{size}').task)
  task.task_config.model.num_classes = _NUM_CLASSES + 1
  task.task_config.model.semantic_head.num_classes = _NUM_CLASSES + 1
  model = task.build_model()
  weights = conversion.published_weights(model, mmdet_names.MMDET)
  num_rois = task.task_config.model.roi_generator.published.test_num_proposals
  parts = gmac.by_part(
    {name: values.shape for name, values in weights.items()},
    _FRAMES[size],
    num_rois,
    _NUM_DETECTIONS,
  )
  statistics = ('running_mean', 'running_var')
  parameters = sum(v.size for name, v in weights.items() if not name.endswith(statistics))
  return Arithmetic(parameters, sum(parts.values()))


def measure(size: str, batch: int, steps: int = _STEPS) -> dict[str, Any]:
  """Figures of a training step of a size that starts from random weights.

  Args:
    size: name of the size.
    batch: number of images.
    steps: number of steps; the last one is measured.

  Returns:
    See `training_memory.measure`.
  """
  height, width = _FRAMES[size]
  overrides = [
    f'task.model.num_classes={_NUM_CLASSES + 1}',
    f'task.model.semantic_head.num_classes={_NUM_CLASSES + 1}',
    'task.model.backbone.published_resnet.frozen_stages=-1',
    'task.model.backbone.published_resnet.norm_eval=false',
  ]
  return training_memory.measure(
    experiment=f'htc_{size}',
    height=height,
    width=width,
    batch=batch,
    steps=steps,
    override=','.join(overrides),
  )


def table_line(size: str, counts: Arithmetic, steps: list[dict[str, Any]]) -> str:
  """A line of the table.

  Args:
    size: name of the size.
    counts: its counts.
    steps: figures of `measure` by number of images.
  """
  height, width = _FRAMES[size]
  seconds = ', '.join(f'{step["seconds"]:.2f}' for step in steps)
  memory = ', '.join(f'{step["peak_bytes"] / 1e9:.1f}' for step in steps)
  return (
    f'| `{size}` | {height} x {width} | {counts.parameters / 1e6:.1f} | {counts.gmac:.1f} '
    f'| {seconds} | {memory} |'
  )


def main(argv: list[str] | None = None) -> int:
  """Measure and print the table, a line after each size."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--sizes', default=','.join(_FRAMES), help='names, separated by commas')
  sizes = parser.parse_args(argv).sizes.split(',')
  unknown = [size for size in sizes if size not in _FRAMES]
  if unknown:
    parser.error(f'unknown sizes: {", ".join(unknown)}; known: {", ".join(_FRAMES)}')
  print(_HEADER)
  print('|---|---|---|---|---|---|')
  for size in sizes:
    steps = [measure(size, batch) for batch in _BATCHES]
    print(table_line(size, count(size), steps), flush=True)
  return 0


if __name__ == '__main__':
  sys.exit(main())
