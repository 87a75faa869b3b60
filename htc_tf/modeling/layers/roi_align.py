"""Exact RoIAlign (aligned, adaptive sampling ratio) on one map and on a feature pyramid."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf import errors
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import roi_pooling

# Level rule to (unit, power): RoIs with sqrt(area) / (unit * finest_scale) + 1e-6 of at least
# 2**(1 + power) are above the finest level. The two implementations add 1e-6 at different scales.
_LEVEL_RULES = {'mmdet': (1.0, 0), 'paddle': (4.0, -2)}


def roi_align(feature: tf.Tensor, rois: tf.Tensor, stride: float, output_size: int) -> tf.Tensor:
  """RoIs pooled from one map.

  Samples more than a pixel outside the map count as 0 in the mean of their bin; samples nearer to
  the map have the value at its border. RoIs without extent, including padding rows, give 0.

  Args:
    feature: [batch, height, width, channels].
    rois: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows are all -1. RoIs get no
      gradient.
    stride: padded-image pixels per pixel of the map.
    output_size: number of bins of an RoI along each axis.

  Returns:
    [batch, num_rois, output_size, output_size, channels] of the dtype of `feature`.
  """
  table = roi_pooling.feature_table({'map': feature})
  view = roi_pooling.single_map(table, 'map', stride, tf.reduce_prod(tf.shape(rois)[:2]))
  return roi_pooling.pool(table, rois, [view], output_size)


class MultilevelRoIAligner(tf_keras.layers.Layer):
  """Pooling of every RoI from the pyramid level that fits its size (FPN, equation 1).

  Args:
    crop_size: number of bins of an RoI along each axis.
    finest_scale: half of the sqrt(area), in pixels, from which on RoIs are above the finest level.
    min_level: finest level to pool from.
    max_level: coarsest level to pool from.
    level_rule: 'mmdet' or 'paddle'; they differ for RoIs within 3e-4 px of a boundary.
    **kwargs: arguments of Layer.

  Raises:
    ConfigError: the level rule is unknown.
  """

  def __init__(
    self,
    crop_size: int,
    finest_scale: float = 56.0,
    min_level: int = 2,
    max_level: int = 5,
    level_rule: str = 'mmdet',
    **kwargs: Any,
  ):
    # Under mixed precision, Keras would cast the RoIs to 16 bits: errors of several pixels.
    super().__init__(autocast=False, **kwargs)
    if level_rule not in _LEVEL_RULES:
      raise errors.ConfigError(
        'The level rule of the RoI aligner is unknown',
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
    """Features of the boxes.

    Args:
      features: level to [batch, height, width, channels]; may contain further levels.
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
    """View of `boxes` [batch, num_rois, 4]: their levels in a table that contains all levels."""
    names = [str(level) for level in range(self._min_level, self._max_level + 1)]
    indices = tuple(table.map_index(name) for name in names)
    levels = self.assign_levels(tf.reshape(tf.cast(boxes, tf.float32), [-1, 4]))
    return roi_pooling.View(
      tf.gather(tf.constant(indices), levels - self._min_level),
      tf.gather(tf.constant([2.0 ** int(name) for name in names]), levels - self._min_level),
      indices,
    )

  def assign_levels(self, rois: tf.Tensor) -> tf.Tensor:
    """Level that each of `rois` [..., 4] is pooled from, [...] int32."""
    unit, power = _LEVEL_RULES[self._level_rule]
    scales = tf.sqrt(box_ops.area(rois)) / (unit * self._finest_scale) + 1e-6
    levels = tf.fill(tf.shape(scales), self._min_level)
    for step in range(1, self._max_level - self._min_level + 1):
      levels += tf.cast(scales >= 2.0 ** (step + power), tf.int32)
    return levels
