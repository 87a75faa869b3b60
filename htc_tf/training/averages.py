"""Averaged weights: which of the two copies of a model's weights the model holds."""

import tensorflow as tf
import tf_keras
from official.modeling import optimization

from htc_tf.checkpoints import readability


class Averages:
  """The exponential moving average of a model's weights, which Model Garden's optimizer keeps.

  The model holds the trained weights in a training step, and their averages in an evaluation and in
  every checkpoint; the other copy is in the optimizer. Whatever reads a checkpoint, such as
  prediction, export or the initialization of another run, therefore gets the weights that were
  evaluated. Model Garden's own exchange is not used, because it rounds, and because a second one
  after an interruption would undo the first.

  Args:
    optimizer: optimizer that has copied the model's weights; see `of`.
  """

  def __init__(self, optimizer: optimization.ExponentialMovingAverage):
    self._pairs = list(zip(optimizer._average_weights, optimizer._model_weights))
    self._in_model = tf.Variable(False, trainable=False, name='averages_in_model')

  @classmethod
  def of(cls, optimizer: tf_keras.optimizers.Optimizer) -> 'Averages | None':
    """The averages that an optimizer keeps; None if it keeps none."""
    is_averaging = isinstance(optimizer, optimization.ExponentialMovingAverage)
    return cls(optimizer) if is_averaging else None

  def start(self) -> None:
    """Let the averages start at the weights of the model."""
    for average, weight in self._pairs:
      average.assign(weight.read_value())
    self._in_model.assign(False)

  def restored(self, prefix: str) -> None:
    """Adopt the order of a checkpoint that was just restored: its model holds the averages.

    Args:
      prefix: prefix of the checkpoint; the averages start anew if it has none.
    """
    if not readability.has_averages(prefix):
      self.start()
    self._in_model.assign(True)

  def use(self, in_model: bool) -> None:
    """Let the model hold the averages or the trained weights; nothing changes if it does already.

    Args:
      in_model: whether the model is to hold the averages.
    """
    if bool(self._in_model.numpy()) != in_model:
      self._exchange()

  # An interruption cannot come between the exchange and the note of it: both are one call.
  @tf.function(autograph=False)
  def _exchange(self) -> None:
    for average, weight in self._pairs:
      kept = tf.identity(weight.read_value())
      weight.assign(average.read_value())
      average.assign(kept)
    self._in_model.assign(tf.logical_not(self._in_model.read_value()))
