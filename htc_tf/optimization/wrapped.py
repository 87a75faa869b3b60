"""The optimizer inside those that average weights or scale losses."""

import tf_keras


def innermost(optimizer: tf_keras.optimizers.Optimizer) -> tf_keras.optimizers.Optimizer:
  """The optimizer that updates the weights, which may be in one that averages or scales."""
  while hasattr(optimizer, '_optimizer'):
    optimizer = optimizer._optimizer
  return optimizer
