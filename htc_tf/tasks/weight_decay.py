"""The place of weight decay in a training step, which depends on the optimizer."""

import functools

import tf_keras

from htc_tf.configs import task as task_config
from htc_tf.losses import htc_loss
from htc_tf.optimization.published_sgd import PublishedSGD
from htc_tf.optimization.wrapped import innermost


def left_to(optimizer: tf_keras.optimizers.Optimizer, losses: task_config.Losses) -> bool:
  """Leave weight decay to the optimizer if it is the published SGD.

  Args:
    optimizer: optimizer of the run, which may be in one that averages weights or scales losses.
    losses: configuration with `l2_weight_decay` and `decay_norm_and_bias`.

  Returns:
    False for the other optimizers, whose gradients need those of the decay.
  """
  inner = innermost(optimizer)
  if not isinstance(inner, PublishedSGD):
    return False
  inner.decay_weights(functools.partial(htc_loss.decay_factor, losses=losses))
  return True
