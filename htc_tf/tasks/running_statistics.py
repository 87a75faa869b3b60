"""Restoration of a model's running statistics after a rejected step."""

import tensorflow as tf
import tf_keras


class RunningStatistics:
  """A copy of the variables that a forward pass updates: running means and variances.

  Args:
    model: the model, before the forward pass.
  """

  def __init__(self, model: tf_keras.Model):
    self._variables = [variable for variable in model.variables if not variable.trainable]
    self._before = [tf.identity(variable) for variable in self._variables]

  def restore_unless(self, accepted: tf.Tensor) -> None:
    """Restore the copied values unless the step is accepted.

    Args:
      accepted: [] bool.
    """
    for variable, before in zip(self._variables, self._before):
      variable.assign(tf.where(accepted, variable, before))
