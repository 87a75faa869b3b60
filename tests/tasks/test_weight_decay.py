"""Tests of who decays the weights: the published SGD itself, or the training step."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.modeling.optimization import ema_optimizer

from htc_tf.configs import task as task_config
from htc_tf.optimization.published_adamw import PublishedAdamW
from htc_tf.optimization.published_sgd import PublishedSGD
from htc_tf.tasks.weight_decay import left_to
from tests import tiny

LOSSES = task_config.Losses(l2_weight_decay=0.1, decay_norm_and_bias=False)
WRAPPERS = {
  'none': lambda optimizer: optimizer,
  'scaled losses': tf_keras.mixed_precision.LossScaleOptimizer,
  'averaged weights': ema_optimizer.ExponentialMovingAverage,
}


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_the_published_sgd_decays_after_its_limit(wrapper):
  """Only the gradient, of norm 5, is limited to 1; the norm's weight is not decayed."""
  optimizer = WRAPPERS[wrapper](PublishedSGD(0.5, global_clipnorm=1.0))
  kernel, gamma = tf.Variable([2.0], name='conv/kernel'), tf.Variable([2.0], name='bn/gamma')
  if wrapper == 'averaged weights':
    optimizer.shadow_copy(tf.Module())
  assert left_to(optimizer, LOSSES)
  optimizer.apply_gradients([(tf.constant([3.0]), kernel), (tf.constant([4.0]), gamma)])
  np.testing.assert_allclose(kernel, [2 - 0.5 * (0.6 + 0.2)], rtol=1e-6)
  np.testing.assert_allclose(gamma, [2 - 0.5 * 0.8], rtol=1e-6)


@pytest.mark.parametrize(
  'optimizer', [tf_keras.optimizers.legacy.SGD(0.5), tf_keras.optimizers.SGD(0.5), PublishedAdamW()]
)
def test_the_gradients_of_other_optimizers_need_the_decay(optimizer):
  assert not left_to(optimizer, LOSSES)


def weights_after_a_step(optimizer):
  """Decayed weights of a small model before and after a training step."""
  task = tiny.task(tiny.model(1))
  task.task_config.losses.l2_weight_decay = 0.5
  model = tiny.build(task.task_config.model)
  before = [variable.numpy() for variable in model.trainable_variables]
  task.train_step(tiny.batch(task.task_config.model), model, optimizer)
  return before, [variable.numpy() for variable in model.trainable_variables]


def test_a_training_step_decays_once():
  start, published = weights_after_a_step(PublishedSGD(0.1))
  same_start, keras = weights_after_a_step(tf_keras.optimizers.legacy.SGD(0.1))
  for values in zip(start, same_start, published, keras):
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_allclose(values[2], values[3], rtol=1e-4, atol=1e-5)


def test_a_training_step_decays_after_the_limit_of_the_published_sgd():
  start, end = weights_after_a_step(PublishedSGD(0.1, global_clipnorm=1e-9))
  for before, after in zip(start, end):
    np.testing.assert_allclose(after, 0.95 * before, rtol=1e-5, atol=1e-8)
