"""Our side: `python -m benchmarks.beside_original.ours JOB FOLDER [WEIGHTS DETECTIONS]`.

The jobs are `first_steps`, which makes the initial weights as well, `train`, and `detect`, which
runs our model with the weights of a file. `jobs` starts them.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from benchmarks.beside_original import experiment, recipe
from benchmarks.beside_original.examples import Examples
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.conversion import convert_checkpoint, published_weights
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import Proposals
from htc_tf.tasks.htc import HTCTask
from parity import loss_names

_TOTAL = 'total_loss'


class _Trainer:
  """Our model with our training step.

  Args:
    plan: the plan.
    seed: seed of the initial weights and of the random choice of anchors and RoIs.
    sampling_rule: 'random', or 'even' for repeatable steps.
  """

  def __init__(self, plan: recipe.Plan, seed: int, sampling_rule: str = 'random'):
    params = experiment.build(plan.recipe, sampling_rule)
    params.task.train_data.input_path = os.path.join(plan.records, 'train-*.tfrecord')
    params.task.validation_data.input_path = os.path.join(plan.records, 'val-*.tfrecord')
    tf_keras.utils.set_random_seed(seed)
    self.task = HTCTask(params.task)
    self.model: HTCModel = self.task.build_model()
    config = params.trainer.optimizer_config
    self.optimizer = self.task.create_optimizer(config, params.runtime)
    self._metrics = self.task.build_metrics()

  def step(self, images: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Losses before the update of the model, by name; it is called in a graph."""
    for metric in self._metrics:
      metric.reset_state()
    self.task.train_step((images, labels), self.model, self.optimizer, self._metrics)
    values = {metric.name: metric.result() for metric in self._metrics}
    return {
      loss_names.TOTAL: values[_TOTAL],
      **{name: value for name, value in values.items() if name in loss_names.LOSSES},
    }

  def weights(self) -> dict[str, np.ndarray]:
    """The weights by published name, in the published layout."""
    return published_weights(self.model, MMDET)

  def load(self, path: str) -> None:
    """Load weights of that form."""
    convert_checkpoint(Checkpoint(recipe.read_arrays(path), 'torch', path, ''), self.model)


class _RecordedProposals:
  """The proposals of the RPN of the last call.

  Args:
    generator: generator of proposals, which it replaces.
  """

  def __init__(self, generator: Callable[..., Proposals]):
    self._generator = generator
    self.last: Proposals | None = None

  def __call__(self, *maps: Any, **options: Any) -> Proposals:
    """The proposals for maps of the RPN."""
    self.last = self._generator(*maps, **options)
    return self.last


def first_steps(folder: str) -> None:
  """Write the initial weights, and inputs, proposals, losses and weights of the first steps."""
  plan = recipe.read_plan(folder)
  plan = plan._replace(recipe=recipe.of_first_steps(plan.recipe))
  trainer = _Trainer(plan, plan.recipe.seed, 'even')
  recipe.write_arrays(os.path.join(folder, recipe.INITIAL), trainer.weights())
  examples = Examples(trainer.task.task_config, plan.records)
  recorded = _RecordedProposals(trainer.model.rpn.roi_generator)
  trainer.model.rpn.roi_generator = recorded

  @tf.function(autograph=False)
  def step(images: tf.Tensor, labels: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], Any]:
    return trainer.step(images, labels), recorded.last

  iterations = range(plan.recipe.num_steps)
  arrays: dict[str, Any] = {
    'rates': [float(trainer.optimizer.learning_rate(i)) for i in iterations]
  }
  for number, image_ids in enumerate(plan.order[: recipe.NUM_FIRST_STEPS]):
    images, labels = examples.batch(image_ids)
    if number == 0:
      arrays.update(_inputs(images, labels))
    losses, proposals = step(images, labels)
    for image, valid in enumerate(proposals.valid.numpy()):
      key = f'{number}/{image}'
      boxes = proposals.boxes[image].numpy()[valid]
      arrays[f'proposals/{key}'] = boxes[:, [1, 0, 3, 2]]
      arrays[f'proposal_scores/{key}'] = proposals.scores[image].numpy()[valid]
    arrays.update({f'loss/{number}/{name}': value.numpy() for name, value in losses.items()})
  arrays.update({f'weights/{name}': values for name, values in trainer.weights().items()})
  recipe.write_arrays(os.path.join(folder, recipe.OURS, recipe.FIRST_STEPS), arrays)


def _inputs(images: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
  """Network input [batch, 3, height, width] and ground truth, in the layout of the original."""
  arrays = {
    'input/images': images.numpy().transpose(0, 3, 1, 2),
    'input/semantic': labels['gt_semantic'].numpy(),
  }
  for image, classes in enumerate(labels['gt_classes'].numpy()):
    is_object = classes > 0
    arrays[f'input/labels/{image}'] = classes[is_object] - 1
    arrays[f'input/boxes/{image}'] = labels['gt_boxes'][image].numpy()[is_object][:, [1, 0, 3, 2]]
    packed = labels['gt_masks'][image].numpy()[is_object]
    arrays[f'input/masks/{image}'] = np.unpackbits(packed, axis=-1)
  return arrays


def train(folder: str) -> None:
  """Train from the initial weights, and write losses and final weights."""
  plan = recipe.read_plan(folder)
  trainer = _Trainer(plan, plan.recipe.sampling_seed)
  trainer.load(os.path.join(folder, recipe.INITIAL))
  examples = Examples(trainer.task.task_config, plan.records)
  step = tf.function(trainer.step, autograph=False)
  curves: dict[str, list[float]] = {name: [] for name in (loss_names.TOTAL, *loss_names.LOSSES)}
  begin = time.monotonic()
  for number, image_ids in enumerate(plan.order, 1):
    losses = step(*examples.batch(image_ids))
    for name, curve in curves.items():
      curve.append(float(losses[name]))
    if number % recipe.REPORT_STEPS == 0:
      print(recipe.progress(number, plan.recipe, curves, time.monotonic() - begin), flush=True)
  out = os.path.join(folder, recipe.OURS)
  recipe.write_arrays(os.path.join(out, recipe.FINAL), trainer.weights())
  seconds = time.monotonic() - begin
  recipe.write_json(os.path.join(out, recipe.LOSSES_FILE), {'seconds': seconds, 'losses': curves})


def detect(folder: str, weights: str, detections: str) -> None:
  """Write the detections of our model on the validation pictures.

  Args:
    folder: folder of the seed.
    weights: file with weights by published name.
    detections: file of COCO results, which is written.
  """
  plan = recipe.read_plan(folder)
  found = detector(plan, os.path.join(plan.records, 'val-*.tfrecord'))
  recipe.write_json(detections, found(weights))


def detector(plan: recipe.Plan, input_path: str) -> Callable[[str], list[dict[str, Any]]]:
  """A function from a file with weights to the COCO results of our model on records.

  Args:
    plan: the plan.
    input_path: pattern of the paths of the records.
  """
  trainer = _Trainer(plan, plan.recipe.seed)
  task = trainer.task
  task.task_config.validation_data.input_path = input_path

  @tf.function(autograph=False)
  def detect_batch(images: tf.Tensor, labels: dict[str, tf.Tensor]) -> dict[str, Any]:
    return task.validation_step((images, labels), trainer.model)

  def results_of(weights: str) -> list[dict[str, Any]]:
    trainer.load(weights)
    evaluator = None
    for images, labels in task.build_inputs(task.task_config.validation_data):
      evaluator = task.aggregate_logs(evaluator, detect_batch(images, labels))
    assert evaluator is not None
    results: list[dict[str, Any]] = evaluator.collected()['results']
    return results

  return results_of


JOBS: dict[str, Callable[..., None]] = {job.__name__: job for job in (first_steps, train, detect)}

if __name__ == '__main__':
  JOBS[sys.argv[1]](*sys.argv[2:])
