"""Exact RoIAlign (aligned, adaptive sampling ratio) on one map and on a feature pyramid."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf import errors
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import roi_pooling

# Where sqrt(area) / unit + 1e-6 reaches 1, an RoI leaves the finest level. The units, in finest
# scales, and that value as a power of two: the two implementations add 1e-6 at another scale.
_LEVEL_RULES = {'mmdet': (1.0, 0), 'paddle': (4.0, -2)}


def roi_align(feature: tf.Tensor, rois: tf.Tensor, stride: float, output_size: int) -> tf.Tensor:
  """Pools every RoI from one map.

  Samples more than a pixel outside the map count as 0 in the mean of their bin; nearer ones take
  the value of the border. RoIs without extent, padding rows among them, give 0.

  Args:
    feature: [batch, height, width, channels].
    rois: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows are all -1. They get no
      gradient.
    stride: padded-image pixels per pixel of the map.
    output_size: bins of an RoI along each axis.

  Returns:
    [batch, num_rois, output_size, output_size, channels] of the dtype of `feature`.
  """
  table = roi_pooling.feature_table({'map': feature})
  view = roi_pooling.single_map(table, 'map', stride, tf.reduce_prod(tf.shape(rois)[:2]))
  return roi_pooling.pool(table, rois, [view], output_size)


class MultilevelRoIAligner(tf_keras.layers.Layer):
  """Pools every RoI from the one level of a pyramid that fits its size (FPN, equation 1)."""

  def __init__(
    self,
    crop_size: int,
    finest_scale: float = 56.0,
    min_level: int = 2,
    max_level: int = 5,
    level_rule: str = 'mmdet',
    **kwargs: Any,
  ):
    """Builds the layer.

    Args:
      crop_size: bins of an RoI along each axis.
      finest_scale: sqrt(area) in pixels below which all RoIs belong to the finest level's octave;
        twice this begins the next level.
      min_level: finest level pooled from.
      max_level: coarsest level pooled from.
      level_rule: 'mmdet' or 'paddle'; they differ for RoIs within 3e-4 px of a boundary.
      **kwargs: passed to Layer.

    Raises:
      ConfigError: for a level rule that does not exist.
    """
    # Under a mixed precision policy Keras would cast the RoIs to 16 bits: errors of pixels.
    super().__init__(autocast=False, **kwargs)
    if level_rule not in _LEVEL_RULES:
      raise errors.ConfigError(
        'Unknown level rule of the RoI aligner',
        expected=f'one of {sorted(_LEVEL_RULES)}',
        got=repr(level_rule),
      )
    self.crop_size = crop_size
    self._finest_scale = finest_scale
    self._min_level = min_level
    self._max_level = max_level
    self._level_rule = level_rule

  def call(
    self, features: Mapping[str, tf.Tensor], boxes: tf.Tensor, training: bool | None = None
  ) -> tf.Tensor:
    """Pools the boxes.

    Args:
      features: level to [batch, height, width, channels]; levels that are not pooled from may be
        there too.
      boxes: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows (all -1) give 0.
      training: unused.

    Returns:
      [batch, num_rois, crop_size, crop_size, channels] of the dtype of the features.
    """
    del training
    levels = map(str, range(self._min_level, self._max_level + 1))
    table = roi_pooling.feature_table({level: features[level] for level in levels})
    return roi_pooling.pool(table, boxes, [self.view(table, boxes)], self.crop_size)

  def view(self, table: roi_pooling.FeatureTable, boxes: tf.Tensor) -> roi_pooling.View:
    """Where each of `boxes` [batch, num_rois, 4] is pooled from in a table that has the levels."""
    names = [str(level) for level in range(self._min_level, self._max_level + 1)]
    indices = tuple(table.map_index(name) for name in names)
    levels = self.assign_levels(tf.reshape(tf.cast(boxes, tf.float32), [-1, 4]))
    return roi_pooling.View(
      tf.gather(tf.constant(indices), levels - self._min_level),
      tf.gather(tf.constant([2.0 ** int(name) for name in names]), levels - self._min_level),
      indices,
    )

  def assign_levels(self, rois: tf.Tensor) -> tf.Tensor:
    """Returns the [...] int32 level that each of `rois` [..., 4] is pooled from."""
    unit, power = _LEVEL_RULES[self._level_rule]
    scales = tf.sqrt(box_ops.area(rois)) / (unit * self._finest_scale) + 1e-6
    levels = tf.fill(tf.shape(scales), self._min_level)
    for step in range(1, self._max_level - self._min_level + 1):
      levels += tf.cast(scales >= 2.0 ** (step + power), tf.int32)
    return levels
