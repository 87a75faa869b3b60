"""Restoration of a model's running statistics after a rejected step."""

from collections.abc import Iterator

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.batch_norm import BatchNorm


class RunningStatistics:
  """A copy of the variables that a forward pass updates: running means and variances.

  Variables of frozen layers, and of batch norms with `norm_eval`, do not change and are not copied.

  Args:
    model: the model, before the forward pass.
  """

  def __init__(self, model: tf_keras.Model):
    constant = {id(variable) for variable in _constant_variables(model)}
    self.variables = [
      variable
      for variable in model.variables
      if not variable.trainable and id(variable) not in constant
    ]
    self._before = [tf.identity(variable) for variable in self.variables]

  def restore_unless(self, accepted: tf.Tensor) -> None:
    """Restore the copied values unless the step is accepted.

    Args:
      accepted: [] bool.
    """
    for variable, before in zip(self.variables, self._before):
      variable.assign(tf.where(accepted, variable, before))


def _constant_variables(model: tf_keras.Model) -> Iterator[tf.Variable]:
  """The own variables of every layer whose forward pass in training updates nothing."""
  for layer in _layers(model):
    if not _updates_statistics(layer):
      # A frozen layer can contain layers that are not frozen.
      inner = {id(variable) for part in _layers(layer) for variable in part.variables}
      yield from (variable for variable in layer.variables if id(variable) not in inner)


def _updates_statistics(layer: tf_keras.layers.Layer) -> bool:
  if isinstance(layer, BatchNorm):
    return layer.uses_batch_statistics(training=True)
  return layer.trainable


def _layers(layer: tf_keras.layers.Layer) -> Iterator[tf_keras.layers.Layer]:
  """All layers inside a layer."""
  return (part for part in layer.submodules if isinstance(part, tf_keras.layers.Layer))
