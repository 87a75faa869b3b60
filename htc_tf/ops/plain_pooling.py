"""Exact RoIAlign by plain operations, for other runtimes than TensorFlow.

RoIAlign is separable: output = weights_y @ map @ transpose(weights_x). A loop takes one RoI at a
time and reads only the part of the map below it. Products over whole maps, as for XLA, would take
longer than the rest of the network.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import bin_samples
from htc_tf.ops.roi_view import View
from htc_tf.ops.without_autograph import without_autograph


class _Axis(NamedTuple):
  """What each RoI reads along one axis of its map.

  Attributes:
    first: [num_rois] int32 first pixel below the RoI.
    num_pixels: [num_rois] int32 number of pixels from there on, at least 1.
    positions: [num_rois, num_bins, max_count] float32 positions of the samples in pixels from
      `first` on; far outside where there is no sample that counts.
    counts: [num_rois] int32 number of samples per bin; 0 for an RoI without extent.
    shares: [num_rois] float32 share of a sample in its bin; 0 for an RoI without extent.
  """

  first: tf.Tensor
  num_pixels: tf.Tensor
  positions: tf.Tensor
  counts: tf.Tensor
  shares: tf.Tensor


class _Reads(NamedTuple):
  """What each RoI reads from its map in one view.

  Attributes:
    starts: [num_rois] int32 row of the map's first pixel in the table of pixels.
    widths: [num_rois] int32 width of the map.
    y: rows that are read.
    x: columns that are read.
  """

  starts: tf.Tensor
  widths: tf.Tensor
  y: _Axis
  x: _Axis


def pool(
  pixels: tf.Tensor,
  map_shapes: tuple[tf.Tensor, tf.Tensor],
  rois: tf.Tensor,
  views: Sequence[View],
  size: int,
) -> tf.Tensor:
  """RoIs pooled from every view; arguments are those of `sparse_pooling.pool`, of static shapes.

  Returns:
    [batch * num_rois, size, size, channels] float32.
  """
  heights, widths = (tf.cast(sides, tf.int32) for sides in map_shapes)
  reads = [_reads(rois, view, heights, widths, size) for view in views]

  @without_autograph
  def pool_one(of_roi: list[_Reads]) -> tf.Tensor:
    return tf.add_n([_pool_one(pixels, read) for read in of_roi])

  shape = tf.TensorSpec([size, size, pixels.shape[-1]])
  return tf.map_fn(pool_one, reads, fn_output_signature=shape)


def _reads(rois: tf.Tensor, view: View, heights: tf.Tensor, widths: tf.Tensor, size: int) -> _Reads:
  batch, num_rois = rois.shape[:2]
  sizes = heights * widths  # [num_maps]
  starts = tf.cumsum(sizes * batch, exclusive=True)
  images = tf.repeat(tf.range(batch), num_rois)
  boxes = tf.reshape(rois, [-1, 4])
  y, x = (
    _axis(boxes, axis, view, tf.gather(sides, view.maps), size)
    for axis, sides in enumerate((heights, widths))
  )
  starts = tf.gather(starts, view.maps) + images * tf.gather(sizes, view.maps)
  return _Reads(starts, tf.gather(widths, view.maps), y, x)


def _axis(boxes: tf.Tensor, axis: int, view: View, map_sizes: tf.Tensor, size: int) -> _Axis:
  """What the RoIs `boxes` [num_rois, 4] read along an axis of maps with `map_sizes` [num_rois]."""
  samples = bin_samples.axis_samples(
    boxes[:, axis], boxes[:, axis + 2], view.strides, size, map_sizes, view.subdivision
  )
  half = 0.5 * samples.spacings
  ends = (samples.starts[:, 0] + half, samples.starts[:, -1] - half)
  ends = (ends[0], ends[1] + tf.cast(samples.counts, tf.float32) * samples.spacings)
  first, last = (
    tf.cast(tf.floor(tf.clip_by_value(end, 0.0, samples.limits - 1.0)), tf.int32) for end in ends
  )
  # Position p reads the pixels floor(p) and floor(p) + 1. One more pixel allows for rounding.
  num_pixels = tf.maximum(tf.minimum(last + 3, map_sizes) - first, 1)
  positions = samples.positions() - tf.cast(first, tf.float32)[:, None, None]
  shares = tf.math.divide_no_nan(1.0, tf.cast(samples.counts, tf.float32))
  return _Axis(first, num_pixels, positions, samples.counts, shares)


def _pool_one(pixels: tf.Tensor, read: _Reads) -> tf.Tensor:
  """Bins [size, size, channels] of one RoI; all arrays of `read` lack the axis of RoIs."""
  rows = tf.range(read.y.num_pixels)  # [height]
  columns = tf.range(read.x.num_pixels)  # [width]
  offsets = (rows + read.y.first) * read.widths + read.x.first + read.starts
  indices = offsets[:, None] + columns  # [height, width]
  weights_y, weights_x = _weights(rows, read.y), _weights(columns, read.x)
  channels, size = pixels.shape[-1], read.y.positions.shape[0]
  window = tf.reshape(tf.gather(pixels, indices), [read.y.num_pixels, -1])
  pooled = tf.reshape(tf.matmul(weights_y, window), [size, -1, channels])  # [size, width, channels]
  return tf.matmul(tf.tile(weights_x[None], [size, 1, 1]), pooled)


def _weights(pixels: tf.Tensor, axis: _Axis) -> tf.Tensor:
  """Share of each of `pixels` [num_pixels] int32 in each bin, [num_bins, num_pixels]."""
  positions = axis.positions[:, None, : axis.counts]  # [num_bins, 1, count]
  return bin_samples.bilinear_weights(positions, tf.cast(pixels, tf.float32)[:, None]) * axis.shares
