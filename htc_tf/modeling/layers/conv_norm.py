"""Convolution followed by batch norm, as one where that is the same function."""

from collections.abc import Sequence

import tensorflow as tf

from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D


def conv_norm(
  x: tf.Tensor, conv: PaddedConv2D, norm: BatchNorm, training: bool | None = None
) -> tf.Tensor:
  """norm(conv(x)).

  Where the norm's statistics are held it is a factor and a shift of each channel, and these go into
  the convolution: no pass over the map, and no activation of it kept for the backward pass.

  Args:
    x: [batch, height, width, channels].
    conv: without bias.
    norm: of its output; both built.
    training: whether the model trains.
  """
  if norm.uses_batch_statistics(training):
    return norm(conv(x), training=training)
  scale, shift = norm.affine()
  return conv(x, scale=scale, shift=shift, training=training)


def build_conv_norm(
  conv: PaddedConv2D, norm: BatchNorm, input_shape: Sequence[int | None]
) -> tf.TensorShape:
  """Makes the variables of both, which `conv_norm` may use without calling them.

  Args:
    conv: without bias.
    norm: of its output.
    input_shape: [batch, height, width, channels]; the channels must be known.

  Returns:
    Shape of the output.
  """
  with tf.name_scope(conv.name):
    conv.build(input_shape)
  shape = conv.compute_output_shape(input_shape)
  with tf.name_scope(norm.name):
    norm.build(shape)
  return shape
