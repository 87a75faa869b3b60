"""Deformable convolution as a layer."""

from collections.abc import Sequence

import tensorflow as tf

from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.ops.deform_conv import deform_conv2d


class DeformConv2D(PaddedConv2D):
  """Convolution whose sampling offsets are predicted by another convolution (Dai et al. 2017).

  The offsets are the result of a plain convolution of the input, with bias, in one group and with
  the same stride. Its variables are initialized to zero, so that a new layer is a plain
  convolution.

  Input and output are those of `PaddedConv2D`; the stride must be the same along both axes.
  """

  _reads_kernel_only = False
  _maps_per_tap = 2  # dy and dx

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables, those of the offsets included, for [batch, height, width, channels]."""
    super().build(input_shape)
    self.conv_offset = PaddedConv2D(
      self._maps_per_tap * self.kernel_size[0] * self.kernel_size[1],
      self.kernel_size,
      strides=self.strides,
      kernel_initializer='zeros',
      name='conv_offset',
    )
    self.conv_offset.trainable = self.trainable
    with tf.name_scope(self.conv_offset.name):
      self.conv_offset.build(input_shape)

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The deformable convolution without bias; shapes as in `PaddedConv2D.convolution_op`."""
    return deform_conv2d(inputs, self.conv_offset(inputs), kernel, self.strides[0], self.groups)
