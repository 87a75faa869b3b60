"""Fused semantic segmentation head."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.ops.recompute import recompute_in_backward
from htc_tf.ops.resize import resize_align_corners, spatial_size


class SemanticHead(tf_keras.layers.Layer):
  """Semantic branch of HTC (section 3.2, figure 3): all levels fused at one, then convolutions.

  The published head resizes every level to the fusion level before its own 1x1 convolution. Both
  are linear and the shares of an interpolation add up to 1, so a coarser level passes its
  convolution first, where it is small; ReLU comes last either way.

  Args:
    num_classes: semantic classes, background included.
    levels: decoder levels to fuse, in the order of the published laterals.
    level: the level all are resized to.
    num_convs: 3x3 convolutions after the sum.
    num_filters: channels throughout.
    **kwargs: passed to Layer.
  """

  def __init__(
    self,
    num_classes: int,
    levels: tuple[str, ...] = ('2', '3', '4', '5', '6'),
    level: int = 3,
    num_convs: int = 4,
    num_filters: int = 256,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._levels = tuple(levels)
    self._level = str(level)
    self._laterals = [
      self._conv(num_filters, 1, f'lateral_convs/{i}', activation=None) for i in range(len(levels))
    ]
    self._convs = [self._conv(num_filters, 3, f'convs/{i}') for i in range(num_convs)]
    self._embedding = self._conv(num_filters, 1, 'conv_embedding')
    self._logits = self._conv(num_classes, 1, 'conv_logits', activation=None)

  def _conv(self, filters, kernel_size, name, activation='relu'):
    initializer = tf_keras.initializers.VarianceScaling(2.0, 'fan_out', 'truncated_normal')
    return tf_keras.layers.Conv2D(
      filters,
      kernel_size,
      padding='same',
      activation=activation,
      kernel_initializer=initializer,
      name=name,
    )

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    """Makes the variables of the laterals, which are read without calling them."""
    for level, lateral in zip(self._levels, self._laterals):
      with tf.name_scope(lateral.name):
        lateral.build(input_shape[level])
    super().build(input_shape)

  def call(
    self, features: Mapping[str, tf.Tensor], training: bool | None = None
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Segments the image and embeds its context.

    Args:
      features: {'2': [batch, h, w, channels], ...} by level.
      training: whether a backward pass follows.

    Returns:
      logits [batch, h, w, num_classes] float32 and embedding [batch, h, w, num_filters], both at
      the fusion level's stride.
    """
    size = spatial_size(features[self._level])
    fused = None
    for level, lateral in zip(self._levels, self._laterals):
      # A level at a time, so that one map beside the sum is held.
      with tf.control_dependencies([] if fused is None else [fused]):
        x = self._fused_part(features[level], int(level), lateral, size, training)
      fused = x if fused is None else fused + x
    for conv in self._convs:
      fused = conv(fused)
    return tf.cast(self._logits(fused), tf.float32), self._embedding(fused)

  def _fused_part(
    self,
    x: tf.Tensor,
    level: int,
    lateral: tf_keras.layers.Layer,
    size: tf.Tensor,
    training: bool | None,
  ) -> tf.Tensor:
    """Convolution, resize and ReLU of a level; first what leaves less to the other."""

    def part(x, kernel, bias):
      if level < int(self._level):
        x = resize_align_corners(x, size)
      x = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, 'SAME')
      x = tf.nn.bias_add(x, tf.cast(bias, x.dtype))
      if level > int(self._level):
        x = resize_align_corners(x, size)
      return tf.nn.relu(x)

    # Five maps to keep for a backward pass, and a twentieth of the branch to compute them again.
    run = recompute_in_backward(part) if training else part
    return run(x, tf.convert_to_tensor(lateral.kernel), tf.convert_to_tensor(lateral.bias))
