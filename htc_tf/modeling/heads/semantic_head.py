"""Fused semantic segmentation head."""

from typing import Any, Mapping, Tuple

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.resize import resize_align_corners
from htc_tf.modeling.layers.resize import spatial_size


class SemanticHead(tf_keras.layers.Layer):
  """Semantic branch of HTC (section 3.2, figure 3): all levels fused at one, then convolutions.

  Every level is resized to the fusion level before its own 1x1 convolution, as the published
  weights were trained.

  Args:
    num_classes: semantic classes, background included.
    levels: decoder levels to fuse, in the order of the published laterals.
    level: the level all are resized to.
    num_convs: 3x3 convolutions after the sum.
    num_filters: channels throughout.
    **kwargs: passed to Layer.
  """

  def __init__(self, num_classes: int, levels: Tuple[str, ...] = ('2', '3', '4', '5', '6'),
               level: int = 3, num_convs: int = 4, num_filters: int = 256, **kwargs: Any):
    super().__init__(**kwargs)
    self._levels = tuple(levels)
    self._level = str(level)
    self._laterals = [self._conv(num_filters, 1, f'lateral_convs/{i}') for i in range(len(levels))]
    self._convs = [self._conv(num_filters, 3, f'convs/{i}') for i in range(num_convs)]
    self._embedding = self._conv(num_filters, 1, 'conv_embedding')
    self._logits = self._conv(num_classes, 1, 'conv_logits', activation=None)

  def _conv(self, filters, kernel_size, name, activation='relu'):
    initializer = tf_keras.initializers.VarianceScaling(2.0, 'fan_out', 'truncated_normal')
    return tf_keras.layers.Conv2D(filters, kernel_size, padding='same', activation=activation,
                                  kernel_initializer=initializer, name=name)

  def call(self, features: Mapping[str, tf.Tensor]) -> Tuple[tf.Tensor, tf.Tensor]:
    """Segments the image and embeds its context.

    Args:
      features: {'2': [batch, h, w, channels], ...} by level.

    Returns:
      logits [batch, h, w, num_classes] float32 and embedding [batch, h, w, num_filters], both at
      the fusion level's stride.
    """
    size = spatial_size(features[self._level])
    fused = 0
    for level, lateral in zip(self._levels, self._laterals):
      x = features[level]
      fused += lateral(x if level == self._level else resize_align_corners(x, size))
    for conv in self._convs:
      fused = conv(fused)
    return tf.cast(self._logits(fused), tf.float32), self._embedding(fused)
