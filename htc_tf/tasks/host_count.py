"""Figures that Python counts beside the training, shown among its metrics."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras


class HostCount(tf_keras.metrics.Metric):
  """A count since this process began; it is not updated by a step and not reset by a summary.

  Args:
    name: of the metric.
    count: gives the count.
  """

  def __init__(self, name: str, count: Callable[[], int]):
    super().__init__(name, tf.float32)
    self._count = count

  def update_state(self, *args: Any, **kwargs: Any) -> None:
    """Nothing: another part counts."""

  def reset_state(self) -> None:
    """Nothing: the count is of the whole run."""

  def result(self) -> tf.Tensor:
    """[] float32, of this process."""
    return tf.constant(float(self._count()))
