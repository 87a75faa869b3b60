"""Tests of the check of the momentum in a checkpoint."""

import pytest
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from htc_tf.checkpoints.momentum import check_momentum
from htc_tf.errors import ConfigError
from htc_tf.optimization.published_adamw import PublishedAdamW
from htc_tf.optimization.published_sgd import PublishedSGD

KINDS = (PublishedSGD, tf_keras.optimizers.legacy.SGD)


def build(kind, wrapper):
  optimizer = kind(0.1, momentum=0.9)
  if wrapper == 'averages':
    return optimization.ExponentialMovingAverage(optimizer, average_decay=0.5)
  if wrapper == 'scaled losses':
    return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
  return optimizer


def save(folder, optimizer, num_steps=1):
  model = tf_keras.Sequential([tf_keras.layers.Dense(1, use_bias=False, input_shape=[1])])
  if isinstance(optimizer, optimization.ExponentialMovingAverage):
    optimizer.shadow_copy(model)
  (kernel,) = model.trainable_variables
  for _ in range(num_steps):
    optimizer.apply_gradients([(tf.ones([1, 1]), kernel)])
  return tf.train.Checkpoint(model=model, optimizer=optimizer).save(str(folder / 'ckpt'))


@pytest.mark.parametrize('wrapper', ['none', 'averages', 'scaled losses'])
@pytest.mark.parametrize('kinds', [KINDS, KINDS[::-1]])
def test_the_momentum_of_the_other_rule_is_refused(tmp_path, kinds, wrapper):
  prefix = save(tmp_path, build(kinds[0], wrapper))
  check_momentum(prefix, build(kinds[0], 'none'))
  for other in ('none', wrapper):
    with pytest.raises(ConfigError, match='has the momentum of another optimizer') as error:
      check_momentum(prefix, build(kinds[1], other))
  assert 'set trainer.optimizer_config.optimizer.type to sgd or published_sgd' in str(error.value)
  assert f'--weights={prefix}' in str(error.value)


@pytest.mark.parametrize('kind', KINDS)
def test_a_checkpoint_without_momentum_fits(tmp_path, kind):
  check_momentum(save(tmp_path, build(KINDS[0], 'none'), num_steps=0), build(kind, 'none'))


def test_other_optimizers_are_not_checked(tmp_path):
  prefix = save(tmp_path, build(KINDS[0], 'none'))
  check_momentum(prefix, tf_keras.optimizers.legacy.Adam())


@pytest.mark.parametrize('kind', KINDS)
def test_moments_and_momentum_do_not_continue_each_other(tmp_path, kind):
  prefix = save(tmp_path, PublishedAdamW(0.1))
  check_momentum(prefix, PublishedAdamW(0.1))
  with pytest.raises(ConfigError, match='has the momentum of another optimizer'):
    check_momentum(prefix, build(kind, 'none'))
  with pytest.raises(ConfigError, match='variables named first_moment'):
    check_momentum(save(tmp_path / 'sgd', build(kind, 'none')), PublishedAdamW(0.1))
