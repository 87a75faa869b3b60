"""Group normalization, and a convolution with it."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

EPSILON = 1e-5  # PyTorch's, with which the published group norms were trained.


class GroupNorm(tf_keras.layers.GroupNormalization):
  """Group norm (Wu and He 2018, equations 1, 2 and 7) of [batch, height, width, channels].

  Each group of neighboring channels of an image or RoI is normalized with its own mean and variance
  over all its pixels. It is the same in training and at inference, and padding rows change no other
  row. Statistics are computed in float32; the output has the dtype of the input.

  Args:
    groups: number of groups.
    **kwargs: arguments of Layer.

  Raises:
    ValueError: when it is built, if the number of channels is not a multiple of `groups`.
  """

  def __init__(self, groups: int, **kwargs: Any):
    super().__init__(groups, epsilon=EPSILON, dtype='float32', autocast=False, **kwargs)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    """Normalized inputs, of their shape and dtype."""
    outputs = super().call(tf.cast(inputs, tf.float32))
    return tf.cast(tf.ensure_shape(outputs, inputs.shape), inputs.dtype)


class GroupNormConv2D(tf_keras.layers.Layer):
  """A convolution without bias, a group norm of its output, and an activation.

  Input [batch, height, width, channels]; output [batch, height, width, filters].

  Args:
    filters: channels of the output.
    kernel_size: side of the kernel; odd.
    groups: number of groups of the norm.
    activation: function of the normalized output; None for none.
    kernel_initializer: initializer of the kernel.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    filters: int,
    kernel_size: int,
    groups: int,
    activation: Callable[[tf.Tensor], tf.Tensor] | None = None,
    kernel_initializer: str | tf_keras.initializers.Initializer = 'he_normal',
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self.conv = tf_keras.layers.Conv2D(
      filters,
      kernel_size,
      padding='same',
      use_bias=False,
      kernel_initializer=kernel_initializer,
      name='conv',
    )
    self.norm = GroupNorm(groups, name='gn')
    self._activation = activation or tf.identity

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    """Activated, normalized convolution of the inputs.

    Args:
      inputs: [batch, height, width, channels].

    Returns:
      [batch, height, width, filters] of the dtype of `inputs`.
    """
    return self._activation(self.norm(self.conv(inputs)))

  def compute_output_shape(self, input_shape: Sequence[int | None]) -> tf.TensorShape:
    """Shape of the output for an input [batch, height, width, channels]; None stays None."""
    return self.conv.compute_output_shape(input_shape)
