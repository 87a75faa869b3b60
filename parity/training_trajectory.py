"""Comparison of 20 training steps, with a warm-up and a decay of the rate, with the reference's.

The reference, a reduced HTC in mmdetection 3.3.0, was trained by PyTorch's SGD. The comparison is
meaningful only if rounding does not grow, so that its model has one stage, whose RoIs are fixed:
with three, RoIs change their class as soon as a refined box crosses a threshold. For the same
reason the rate is small: with 3e-6, the reference repeats each loss within 1.3e-6 after a change of
every weight by 1e-7 of its value; with 1e-4, it deviates from itself by 9e-4. The total loss falls
from 10.6 to 5.7. The proposals are stored, fewer than would be sampled, and anchors are sampled at
even distances.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401  Registers optimizers and experiments.
from htc_tf.configs import features
from htc_tf.configs import model as model_config
from htc_tf.configs.schedule import Schedule, build_trainer
from htc_tf.convert.conversion import convert_checkpoint
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.tasks.htc import HTCTask
from parity import training
from parity.check import Check, at_most
from parity.pack import Pack
from parity.training_step import TrainingStep, make_step

FILES = ('training_trajectory.npz', 'mmdet_trajectory_shapes.json', 'weights.py')
_EXPERIMENT = 'htc_resnet50fpn_1x_coco'
_CHANNELS = 32
_LATERAL_FACTOR = np.float32(0.25)  # With larger features, the reference would diverge.
_LOSSES = {
  name: published
  for name, published in training.LOSSES.items()
  if not name.startswith(('stage1', 'stage2'))
}
_BAR, _RATE_BAR = 1e-5, 1e-6
# The reference has a warm-up with `end=6`, which mmdetection 3 completes at step 5, and a tenth of
# the rate from step 14 on.
_SCHEDULE = Schedule(
  epochs=20, num_images=2, batch_size=2, learning_rate=3e-6, milestones=(14,), warmup_steps=5
)


def trajectory_checks(folder: str) -> list[Check]:
  """All checks of the steps stored in a folder; see `FILES`."""
  arrays = dict(np.load(f'{folder}/{FILES[0]}'))
  rates, losses = run_steps(folder, arrays, _SCHEDULE)
  checks = [
    at_most(
      '20 steps: learning rate, largest relative difference',
      np.abs(rates / arrays['learning_rates'] - 1.0).max(),
      _RATE_BAR,
    )
  ]
  return checks + [
    at_most(
      f'20 steps: {name}, largest relative difference at any step',
      _largest_difference(losses[name], arrays[f'loss/{published}']),
      _BAR,
    )
    for name, published in _LOSSES.items()
  ]


def other_rule() -> Schedule:
  """The schedule of the steps with the momentum of Keras."""
  return dataclasses.replace(_SCHEDULE, optimizer='sgd')


def run_steps(
  folder: str, arrays: dict[str, np.ndarray], schedule: Schedule
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Train as many steps as the reference did.

  Args:
    folder: folder with the weights of the reference at the start.
    arrays: the stored arrays.
    schedule: learning rate and optimizer.

  Returns:
    [steps] learning rates, and {name: [steps]} weighted losses before the update of each step, with
    their sum as `total`.
  """
  params = exp_factory.get_exp_config(_EXPERIMENT)
  params.task.model = _reduced_model()
  task = HTCTask(params.task)
  model = task.build_model()
  _load_weights(folder, model)
  optimizer = task.create_optimizer(build_trainer(schedule).optimizer_config, params.runtime)
  step = make_step(arrays)
  batch, metrics = _batch(step), task.build_metrics()

  @tf.function(autograph=False)
  def train() -> None:
    task.train_step(batch, model, optimizer, metrics)

  rates: list[float] = []
  losses: dict[str, list[float]] = {name: [] for name in _LOSSES}
  with training.given_proposals(model, step.proposals):
    for index in range(len(arrays['learning_rates'])):
      rates.append(float(optimizer.learning_rate(tf.constant(index, tf.int64))))
      train()
      values = {metric.name: float(metric.result()) for metric in metrics}
      for name, of_steps in losses.items():
        of_steps.append(values['total_loss' if name == 'total' else name])
      for metric in metrics:
        metric.reset_state()
  return np.array(rates), {name: np.array(values) for name, values in losses.items()}


def _reduced_model() -> model_config.HTC:
  return model_config.HTC(
    num_classes=11,
    backbone=model_config.Backbone(
      published_resnet=features.PublishedResNet(model_id=18, width_multiplier=0.25)
    ),
    decoder=model_config.Decoder(published_fpn=features.PublishedFPN(num_filters=_CHANNELS)),
    rpn_head=model_config.RPNHead(published=features.PublishedRPNHead(num_filters=_CHANNELS)),
    cascade=model_config.Cascade(
      stages=[model_config.Stage()], interleaved=False, sampling_rule='even'
    ),
    box_head=model_config.BoxHead(fc_dims=64),
    mask_head=model_config.MaskHead(num_convs=2, num_filters=_CHANNELS),
    semantic_head=model_config.SemanticHead(num_classes=12, num_convs=2, num_filters=_CHANNELS),
  )


def _load_weights(folder: str, model: HTCModel) -> None:
  checkpoint = Pack(folder).mmdet_state('trajectory')
  tensors = {
    name: values * _LATERAL_FACTOR
    if name.startswith('neck.lateral_convs.') and name.endswith('.weight')
    else values
    for name, values in checkpoint.tensors.items()
  }
  convert_checkpoint(dataclasses.replace(checkpoint, tensors=tensors), model)


def _batch(step: TrainingStep) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
  """The images and labels of the stored step, as `data.parser.Parser` has them."""
  inputs = dict(step.inputs)
  sizes = inputs.pop('image_shape')
  labels = {
    **inputs,
    # Of these, the model reads the second row, the size of the resized image.
    'image_info': tf.stack([sizes, sizes, tf.ones_like(sizes), tf.zeros_like(sizes)], axis=1),
    'gt_semantic': step.semantic_labels,
    'source_id': tf.range(len(sizes), dtype=tf.int64),
  }
  return labels.pop('images'), labels


def _largest_difference(values: np.ndarray, expected: np.ndarray) -> float:
  return float(np.abs(values / expected - 1.0).max())
