"""Switchable atrous convolution."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.modeling.layers.standardized_conv import StandardizedConv2D
from htc_tf.ops.deform_conv import deform_conv2d
from htc_tf.ops.local_average import local_average

_WINDOW = 5
_DILATION = 3


class SwitchableConv2D(StandardizedConv2D):
  """Blend of a convolution of dilation 1 and one of dilation 3 (DetectoRS 2020, section 4).

  A switch, computed from the averages of 5x5 pixels, weights the two at each position (equation 5).
  Both have the standardized kernel; that of the dilated one has the trained difference
  `weight_diff`. Both are deformable, with offsets computed from the averages. Before and after, a
  1x1 convolution of the mean of the whole map is added (section 4.2).

  The variables are initialized so that a new layer is the convolution of dilation 1.

  Input and output are those of `PaddedConv2D`; the stride must be the same along both axes.
  """

  _reads_kernel_only = False

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables for [batch, height, width, channels]."""
    super().build(input_shape)
    self.weight_diff = self.add_weight(
      name='weight_diff', shape=self.kernel.shape, initializer='zeros'
    )
    channels, strides = int(input_shape[-1] or 0), self.strides
    num_offsets = 2 * self.kernel_size[0] * self.kernel_size[1]
    self.switch = self._part('switch', 1, 1, strides=strides, bias_initializer='ones')
    self.pre_context = self._part('pre_context', channels, 1)
    self.post_context = self._part('post_context', self.filters, 1)
    self.offset_s = self._part('offset_s', num_offsets, self.kernel_size, strides=strides)
    self.offset_l = self._part('offset_l', num_offsets, self.kernel_size, strides=strides)
    for part in (self.switch, self.pre_context, self.post_context, self.offset_s, self.offset_l):
      part.trainable = self.trainable
      output_shape = [*input_shape[:3], self.filters]
      with tf.name_scope(part.name):
        part.build(output_shape if part is self.post_context else input_shape)

  def _part(self, name: str, filters: int, kernel_size: Any, **kwargs: Any) -> PaddedConv2D:
    return PaddedConv2D(
      filters,
      kernel_size,
      kernel_initializer='zeros',
      dtype=self.dtype_policy,
      name=name,
      **kwargs,
    )

  def call(
    self,
    inputs: tf.Tensor,
    scale: tf.Tensor | None = None,
    shift: tf.Tensor | None = None,
    training: bool | None = None,
  ) -> tf.Tensor:
    """Convolution of the inputs, or scale * convolution + shift; shapes as in `PaddedConv2D.call`.

    The scale is not merged into the kernels, since the context after them would not fit.
    """
    del training
    x = inputs + _context(inputs, self.pre_context)
    averages = local_average(x, _WINDOW)
    kernel = self._kernel_of(*self._kernel_parts())
    small = self._deformable(x, self.offset_s(averages), kernel, 1)
    large = self._deformable(x, self.offset_l(averages), kernel + self.weight_diff, _DILATION)
    switch = self.switch(averages)  # [batch, ceil(height / stride), ceil(width / stride), 1]
    outputs = switch * small + (1.0 - switch) * large
    outputs += _context(outputs, self.post_context)
    if scale is not None:
      outputs *= tf.cast(scale, outputs.dtype)
    for bias in (self.bias, shift):
      if bias is not None:
        outputs = tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype))
    return self.activation(outputs)

  def _deformable(
    self, x: tf.Tensor, offsets: tf.Tensor, kernel: tf.Tensor, dilation: int
  ) -> tf.Tensor:
    kernel = tf.cast(kernel, x.dtype)
    return deform_conv2d(x, offsets, kernel, self.strides[0], self.groups, dilation)


def _context(x: tf.Tensor, conv: PaddedConv2D) -> tf.Tensor:
  """Convolution of the mean of the map, [batch, 1, 1, channels]."""
  mean = tf.reduce_mean(tf.cast(x, tf.float32), [1, 2], keepdims=True)
  return conv(tf.cast(mean, x.dtype))
