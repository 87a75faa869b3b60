"""Modulated deformable convolution as a layer."""

import tensorflow as tf

from htc_tf.modeling.layers.deform_conv import DeformConv2D
from htc_tf.ops.deform_conv import deform_conv2d


class ModulatedDeformConv2D(DeformConv2D):
  """Deformable convolution that also predicts the strength of each sample (Zhu et al. 2019).

  `conv_offset` has a third map for each tap after all offsets; its sigmoid is the strength. Since
  its variables are initialized to zero, a new layer is half of a plain convolution, as published.
  """

  _maps_per_tap = 3

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The modulated convolution without bias; shapes as in `PaddedConv2D.convolution_op`."""
    maps = self.conv_offset(inputs)
    num_taps = self.kernel_size[0] * self.kernel_size[1]
    offsets, strengths = tf.split(maps, [2 * num_taps, num_taps], -1)
    return deform_conv2d(
      inputs,
      offsets,
      kernel,
      self.strides[0],
      self.groups,
      strengths=tf.sigmoid(tf.cast(strengths, tf.float32)),
    )
