"""Convolution with symmetric explicit padding."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.frozen_variables import FrozenVariablesMixin
from htc_tf.ops.grouped_conv import grouped_conv2d
from htc_tf.ops.recompute import recompute_in_backward


class PaddedConv2D(FrozenVariablesMixin, tf_keras.layers.Conv2D):
  """Conv2D that pads (kernel - 1) / 2 on every side, for every stride.

  For a strided convolution of an even-sized map, TensorFlow's SAME pads one pixel more on the right
  and below; the published weights were trained with equal padding on all sides. Variables are read
  in full precision, so that a factor on the kernel is applied before the kernel is rounded.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ...].

  Args:
    filters: channels of the output.
    kernel_size: side of the kernel; odd.
    **kwargs: arguments of Conv2D except `padding`.
  """

  _reads_kernel_only = True  # `convolution_op` reads no other variable.

  def __init__(self, filters: int, kernel_size: int, **kwargs: Any):
    super().__init__(filters, kernel_size, padding='valid', **kwargs)

  def add_weight(self, *args: Any, **kwargs: Any) -> tf.Variable:
    """A new variable, as Keras creates it, but read in full precision."""
    return super().add_weight(*args, experimental_autocast=False, **kwargs)

  def call(
    self,
    inputs: tf.Tensor,
    scale: tf.Tensor | None = None,
    shift: tf.Tensor | None = None,
    training: bool | None = None,
  ) -> tf.Tensor:
    """Convolution of the inputs, or scale * convolution + shift.

    Args:
      inputs: [batch, height, width, channels].
      scale: [filters] float32 factors, which are merged into the kernel.
      shift: [filters] float32.
      training: whether a backward pass follows, which then recomputes the scaled kernel.
    """
    if scale is None:
      kernel = self._kernel_of(*self._kernel_parts())
      outputs = self.convolution_op(inputs, tf.cast(kernel, inputs.dtype))
    else:
      recomputed = training and self.trainable and self._reads_kernel_only
      scaled = recompute_in_backward(self._convolve) if recomputed else self._convolve
      # Without the dependency, the kernels of all layers could be scaled, and kept, at once.
      with tf.control_dependencies([inputs]):
        outputs = scaled(inputs, scale, *map(tf.convert_to_tensor, self._kernel_parts()))
    for bias in (self.bias, shift):
      if bias is not None:
        outputs = tf.nn.bias_add(outputs, tf.cast(bias, inputs.dtype))
    return self.activation(outputs)

  def _convolve(self, inputs: tf.Tensor, scale: tf.Tensor, *parts: tf.Tensor) -> tf.Tensor:
    kernel = self._kernel_of(*parts) * scale
    return self.convolution_op(inputs, tf.cast(kernel, inputs.dtype))

  def _kernel_parts(self) -> tuple[tf.Variable, ...]:
    """The variables that `_kernel_of` makes the kernel of."""
    return (self.kernel,)

  def _kernel_of(self, *parts: tf.Tensor) -> tf.Tensor:
    """The float32 kernel of the convolution for values of `_kernel_parts`."""
    return parts[0]

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolution without bias.

    Args:
      inputs: [batch, height, width, channels].
      kernel: [kernel_size, kernel_size, channels / groups, filters] of the dtype of `inputs`.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), filters].
    """
    return grouped_conv2d(inputs, kernel, self.groups, self.strides, self._padding())

  def _padding(self) -> list[list[int]]:
    pad_y, pad_x = ((size - 1) // 2 for size in self.kernel_size)
    return [[0, 0], [pad_y, pad_y], [pad_x, pad_x], [0, 0]]

  def compute_output_shape(self, input_shape: Sequence[int | None]) -> tf.TensorShape:
    """Shape of the output for an input [batch, height, width, channels]; None stays None."""
    shape = tf.TensorShape(input_shape).as_list()
    padded = [
      side if side is None else side + size - 1 for side, size in zip(shape[1:3], self.kernel_size)
    ]
    return super().compute_output_shape([shape[0], *padded, shape[3]])
