"""Convolution and batch norm as one layer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.batch_norm import BatchNorm, NormOptions
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D


class NormedConv2D(tf_keras.layers.Layer):
  """A convolution without bias, and a batch norm of its output; see `conv_norm`.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ..., filters].

  Args:
    filters: channels of the output.
    kernel_size: side of the kernel; odd.
    norm: options of the batch norm.
    stride: stride of the convolution.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self, filters: int, kernel_size: int, norm: NormOptions, stride: int = 1, **kwargs: Any
  ):
    super().__init__(**kwargs)
    self.conv = PaddedConv2D(
      filters,
      kernel_size,
      strides=stride,
      use_bias=False,
      kernel_initializer='he_normal',
      name='conv',
    )
    self.norm = BatchNorm(name='norm', **norm._asdict())

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables for an input [batch, height, width, channels]."""
    build_conv_norm(self.conv, self.norm, input_shape)
    super().build(input_shape)

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Normalized convolution of the inputs.

    Args:
      inputs: [batch, height, width, channels].
      training: whether a batch norm without `norm_eval` uses the statistics of the batch.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), filters] of the dtype of `inputs`.
    """
    return conv_norm(inputs, self.conv, self.norm, training)

  def compute_output_shape(self, input_shape: Sequence[int | None]) -> tf.TensorShape:
    """Shape of the output for an input [batch, height, width, channels]; None stays None."""
    return self.conv.compute_output_shape(input_shape)
