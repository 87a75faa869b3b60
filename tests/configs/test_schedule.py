"""Tests of the published schedules and of fitting them to another batch size."""

import math

import numpy as np
import pytest
import tensorflow as tf
from official.core import exp_factory
from official.modeling import optimization

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import schedule
from htc_tf.errors import ConfigError

# 117266 images, 16 per step.
STEPS_PER_EPOCH = 7330


def trainer_of(name):
  return exp_factory.get_exp_config(name).trainer


@pytest.mark.parametrize(
  'name,epochs,boundaries',
  [
    ('htc_resnet50fpn_1x_coco', 12, [58640, 80630]),
    ('htc_without_semantic_resnet50fpn_1x_coco', 12, [58640, 80630]),
    ('cascade_mask_rcnn_resnet50fpn_1x_coco', 12, [58640, 80630]),
    ('mask_rcnn_resnet50fpn_1x_coco', 12, [58640, 80630]),
    ('htc_resnet50fpn_20e_coco', 20, [117280, 139270]),
  ],
)
def test_the_schedules_are_the_published_ones(name, epochs, boundaries):
  trainer = trainer_of(name)
  assert trainer.train_steps == epochs * STEPS_PER_EPOCH
  assert trainer.validation_interval == trainer.checkpoint_interval == STEPS_PER_EPOCH
  optimizer = trainer.optimizer_config
  assert optimizer.learning_rate.stepwise.boundaries == boundaries
  assert optimizer.learning_rate.stepwise.values == pytest.approx([0.02, 0.002, 0.0002])
  assert optimizer.warmup.linear.warmup_steps == 500
  assert optimizer.warmup.linear.warmup_learning_rate == pytest.approx(0.02 / 1000)
  assert optimizer.optimizer.type == 'published_sgd'
  assert optimizer.optimizer.published_sgd.momentum == 0.9
  params = exp_factory.get_exp_config(name)
  assert params.task.train_data.global_batch_size == 16
  assert params.task.losses.l2_weight_decay == 1e-4


def test_the_rate_changes_with_the_first_step_of_an_epoch():
  """Steps count from 0: the first one of the ninth epoch has the lower rate, as published."""
  trainer = trainer_of('htc_resnet50fpn_1x_coco')
  for overrides, first in ({}, 58640), (schedule.rescaled(trainer, 16, 8), 117280):
    trainer.override(overrides)
    rate = optimization.OptimizerFactory(trainer.optimizer_config).build_learning_rate()
    full = trainer.optimizer_config.learning_rate.stepwise.values[0]
    rates = [float(rate(step)) for step in (499, 500, first - 1, first)]
    assert rates == pytest.approx([full * (0.001 + 0.999 * 499 / 500), full, full, full / 10])


def test_the_1x_schedule_has_87960_steps():
  assert trainer_of('htc_resnet50fpn_1x_coco').train_steps == 87960


def test_steps_per_epoch_are_rounded_up():
  assert schedule.Schedule(num_images=33, batch_size=16).steps_per_epoch == 3
  assert schedule.Schedule(num_images=32, batch_size=16).steps_per_epoch == 2


@pytest.mark.parametrize(
  'batch,train_steps,boundaries,rate',
  [(8, 175920, [117280, 161260], 0.01), (32, 43980, [29320, 40315], 0.04)],
)
def test_steps_and_learning_rate_are_fitted_to_another_batch_size(
  batch, train_steps, boundaries, rate
):
  trainer = trainer_of('htc_resnet50fpn_1x_coco')
  trainer.override(schedule.rescaled(trainer, 16, batch))
  assert trainer.train_steps == train_steps
  assert trainer.validation_interval == trainer.checkpoint_interval == train_steps // 12
  optimizer = trainer.optimizer_config
  assert optimizer.learning_rate.stepwise.boundaries == boundaries
  assert optimizer.learning_rate.stepwise.values == pytest.approx([rate, rate / 10, rate / 100])
  assert optimizer.warmup.linear.warmup_steps == 500
  assert optimizer.warmup.linear.warmup_learning_rate == pytest.approx(rate / 1000)
  assert optimizer.optimizer.published_sgd.momentum == 0.9


def test_fitting_to_the_same_batch_size_changes_nothing():
  trainer, other = (trainer_of('htc_resnet50fpn_1x_coco') for _ in range(2))
  trainer.override(schedule.rescaled(trainer, 16, 16))
  assert trainer.as_dict() == other.as_dict()


def test_a_schedule_is_described_in_steps_and_in_epochs_of_the_data():
  trainer = exp_factory.get_exp_config('htc_nuclei').trainer
  assert schedule.describe(trainer, batch_size=4, num_images=36) == (
    '540 steps of 4 images = 60.0 epochs of 36 training images; learning rate 0.02, 0.002 from '
    'step 405 (epoch 45.0), 0.0002 from step 495 (epoch 55.0), after a warm-up of 50 steps; '
    'checkpoint every 100 steps'
  )


def test_another_type_of_schedule_is_named():
  trainer = exp_factory.get_exp_config('htc_nuclei').trainer
  trainer.override(
    {'optimizer_config': {'learning_rate': {'type': 'power'}, 'warmup': {'type': None}}}
  )
  text = schedule.describe(trainer, batch_size=4, num_images=36)
  assert 'learning rate power; checkpoint' in text


@pytest.fixture
def cosine():
  """40 steps: a warm-up of 4 steps, then half a cosine; clipped gradients and averaged weights."""
  return schedule.build_trainer(
    schedule.Schedule(
      epochs=10,
      kind='cosine',
      num_images=7,
      batch_size=2,
      learning_rate=0.04,
      warmup_share=0.1,
      warmup_factor=0.25,
      clip_norm=35.0,
      ema_decay=0.99,
    )
  )


def rates(trainer, steps):
  rate = optimization.OptimizerFactory(trainer.optimizer_config).build_learning_rate()
  return [float(rate(step)) for step in steps]


def test_a_cosine_schedule_has_a_warm_up_of_its_share_and_ends_at_zero(cosine):
  def half_cosine(step):
    return 0.02 * (1 + math.cos(math.pi * step / 40))

  # The warm-up ends where the cosine is at its last step.
  middle_of_warmup = 0.01 + (half_cosine(4) - 0.01) / 2
  assert cosine.train_steps == 40
  assert rates(cosine, [0, 2, 4, 20, 40]) == pytest.approx(
    [0.01, middle_of_warmup, half_cosine(4), 0.02, 0.0], abs=1e-7
  )


def test_a_cosine_schedule_keeps_its_shape_with_another_batch(cosine):
  before = rates(cosine, range(41))
  cosine.override(schedule.rescaled(cosine, 2, 4))
  assert cosine.train_steps == 20
  assert rates(cosine, range(21)) == pytest.approx([2 * rate for rate in before[::2]], abs=1e-7)


def test_clipping_and_averages_are_those_of_the_schedule(cosine):
  optimizer = optimization.OptimizerFactory(cosine.optimizer_config).build_optimizer(0.1)
  assert isinstance(optimizer, optimization.ExponentialMovingAverage)
  assert optimizer.get_config()['average_decay'] == 0.99
  weight = tf.Variable([0.0, 0.0])
  sgd = optimizer._optimizer
  sgd.apply_gradients([(tf.constant([30.0, 40.0]), weight)])  # A norm of 50 is scaled down to 35.
  np.testing.assert_allclose(weight, [-2.1, -2.8], rtol=1e-6)


def test_without_them_nothing_is_clipped_or_averaged():
  optimizer = schedule.build_trainer(schedule.Schedule()).optimizer_config
  assert optimizer.optimizer.sgd.global_clipnorm is None
  assert optimizer.ema is None


def test_a_cosine_schedule_is_described(cosine):
  assert schedule.describe(cosine, batch_size=2, num_images=7) == (
    '40 steps of 2 images = 10.0 epochs of 7 training images; learning rate 0.04, along a cosine '
    'to 0, after a warm-up of 4 steps; gradients up to a norm of 35; weights averaged with a decay '
    'of 0.99; checkpoint every 4 steps'
  )


def test_an_unknown_kind_of_schedule_is_an_error():
  with pytest.raises(ConfigError, match='kind of schedule is unknown'):
    schedule.build_trainer(schedule.Schedule(kind='cosin'))
