"""Convolution followed by batch norm, merged into one convolution if the norm is frozen."""

from collections.abc import Sequence

import tensorflow as tf

from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D


def conv_norm(
  x: tf.Tensor,
  conv: PaddedConv2D,
  norm: BatchNorm,
  training: bool | None = None,
  mask: tf.Tensor | None = None,
) -> tf.Tensor:
  """The result of norm(conv(x)).

  A frozen batch norm is a scale and a shift per channel. These are merged into the convolution,
  which saves a pass over the map and the memory of an activation for the backward pass.

  Args:
    x: [batch, height, width, channels].
    conv: convolution without bias, already built.
    norm: batch norm of the convolution's output, already built.
    training: whether the model trains.
    mask: [batch, 1, 1] bool, the rows that count in the statistics of the batch; None for all.
  """
  if norm.uses_batch_statistics(training):
    return norm(conv(x), training=training, mask=mask)
  scale, shift = norm.affine()
  return conv(x, scale=scale, shift=shift, training=training)


def build_conv_norm(
  conv: PaddedConv2D, norm: BatchNorm, input_shape: Sequence[int | None]
) -> tf.TensorShape:
  """Create the variables of both layers, which `conv_norm` may read without calling the layers.

  Args:
    conv: convolution without bias.
    norm: batch norm of the convolution's output.
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
