"""Pooling of RoIs from several maps.

A view assigns one map to each RoI. The results of exact RoIAlign are summed over the views.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import dense_pooling, marked_pooling, plain, plain_pooling, sparse_pooling, xla
from htc_tf.ops.roi_view import View


class FeatureTable(NamedTuple):
  """Maps of a batch in the layout for pooling.

  Attributes:
    maps: name to [batch, height, width, channels], all of one dtype and number of channels.
    pixels: [num_pixels, channels] float32 pixels of all maps, map by map, image by image, row by
      row; None under XLA, where the maps themselves are read.
  """

  maps: dict[str, tf.Tensor]
  pixels: tf.Tensor | None

  def map_index(self, name: str) -> int:
    """Index of a map in the table."""
    return list(self.maps).index(name)


def feature_table(maps: Mapping[str, tf.Tensor]) -> FeatureTable:
  """Table of maps for any number of calls of `pool`.

  Args:
    maps: name to [batch, height, width, channels], all of one batch size and number of channels.
  """
  if xla.compiling():
    return FeatureTable(dict(maps), None)
  rows = [tf.reshape(tf.cast(x, tf.float32), [-1, x.shape[-1]]) for x in maps.values()]
  return FeatureTable(dict(maps), rows[0] if len(rows) == 1 else tf.concat(rows, axis=0))


def single_map(
  table: FeatureTable, name: str, stride: float, num_rois: tf.Tensor, subdivision: int = 1
) -> View:
  """View in which every RoI is pooled from the same map.

  Args:
    table: table that contains the map.
    name: name of the map.
    stride: padded-image pixels per pixel of the map.
    num_rois: scalar int32, number of RoIs in the whole batch.
    subdivision: subdivision of the bins, see `View`.
  """
  index = table.map_index(name)
  return View(tf.fill([num_rois], index), tf.fill([num_rois], float(stride)), (index,), subdivision)


def pool(table: FeatureTable, rois: tf.Tensor, views: Sequence[View], size: int) -> tf.Tensor:
  """RoIs pooled from every view, summed over the views.

  Samples more than a pixel outside a map count as 0 in the mean of their bin; samples nearer to the
  map have the value at its border. RoIs without extent, including padding rows, give 0.

  Args:
    table: table of the maps.
    rois: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows are all -1. RoIs get no
      gradient.
    views: one or more views.
    size: number of bins of an RoI along each axis.

  Returns:
    [batch, num_rois, size, size, channels] of the dtype of the maps, summed in float32.
  """
  rois = tf.stop_gradient(tf.cast(rois, tf.float32))
  maps = list(table.maps.values())
  if table.pixels is None:
    pooled = dense_pooling.pool(maps, rois, views, size)
  elif plain.marks_roi_align():
    pooled = marked_pooling.pool(maps, rois, views, size)
  else:
    implementation = plain_pooling if plain.required() else sparse_pooling
    pooled = implementation.pool(table.pixels, _map_shapes(maps), rois, views, size)
  channels = maps[0].shape[-1]
  shape = tf.concat([tf.shape(rois)[:2], [size, size, channels]], axis=0)
  pooled = tf.reshape(tf.cast(pooled, maps[0].dtype), shape)
  return tf.ensure_shape(pooled, [rois.shape[0], rois.shape[1], size, size, channels])


def _map_shapes(maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
  """Heights and widths, each [num_maps] int64."""
  shapes = tf.stack([tf.shape(x, out_type=tf.int64) for x in maps])
  return shapes[:, 1], shapes[:, 2]
