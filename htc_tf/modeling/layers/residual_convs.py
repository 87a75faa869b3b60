"""Two convolutions with a shortcut, without norm."""

from typing import Any

import tensorflow as tf
import tf_keras


class ResidualConvs(tf_keras.layers.Layer):
  """Two biased 3x3 convolutions, ReLU between them, added to the input (SCNet, Vu et al. 2021).

  No ReLU follows the sum. Input and output [num, height, width, num_filters].

  Args:
    num_filters: number of channels.
    **kwargs: arguments of Layer.
  """

  def __init__(self, num_filters: int, **kwargs: Any):
    super().__init__(**kwargs)
    self.conv1 = _conv(num_filters, 'conv1', 'relu')
    self.conv2 = _conv(num_filters, 'conv2', None)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    """The sum of the input and its two convolutions, of the shape of the input."""
    return inputs + self.conv2(self.conv1(inputs))


def _conv(num_filters: int, name: str, activation: str | None) -> tf_keras.layers.Conv2D:
  initializer = tf_keras.initializers.VarianceScaling(2.0, 'fan_out', 'truncated_normal')
  return tf_keras.layers.Conv2D(
    num_filters,
    3,
    padding='same',
    activation=activation,
    kernel_initializer=initializer,
    name=name,
  )
