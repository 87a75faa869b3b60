"""Training metrics whose values are counted in Python."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.ops.without_autograph import without_autograph


class HostCount(tf_keras.metrics.Metric):
  """A count since this process began; steps do not update it and summaries do not reset it.

  Args:
    name: name of the metric.
    count: function that returns the count.
  """

  def __init__(self, name: str, count: Callable[[], int]):
    super().__init__(name, tf.float32)
    self._count = count

  def update_state(self, *args: Any, **kwargs: Any) -> None:
    """Do nothing: `count` has the current value."""

  def reset_state(self) -> None:
    """Do nothing: the count covers all steps since this process began."""

  @without_autograph
  def result(self) -> tf.Tensor:
    """[] float32 count of this process."""
    return tf.constant(float(self._count()))
