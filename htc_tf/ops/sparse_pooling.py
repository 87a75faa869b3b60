"""Exact RoIAlign as one sparse product, whose size depends on the data.

An output bin is a weighted sum of feature pixels, and its weights are the outer product of weights
along y and along x. The mean over the samples of a bin is part of these weights, so a pixel is read
once per bin that it contributes to, regardless of the number of samples near it. All weights
together form one sparse matrix from pixels to bins. Its product with the pixels is the forward
pass, and the product of its transpose with the upstream gradient is the backward pass.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import bin_samples
from htc_tf.ops.roi_view import View


class _Taps(NamedTuple):
  """Taps, the pixels that contribute to a bin along one axis; ragged row n has `lengths[n]` taps.

  Attributes:
    pixels: [taps] int64 pixel of the map.
    weights: [taps] float32 share of the pixel in the bin.
    lengths: [num_windows * num_bins] int32 number of taps.
  """

  pixels: tf.Tensor
  weights: tf.Tensor
  lengths: tf.Tensor


class _Windows(NamedTuple):
  """Pairs of RoI and view, called windows; the windows of one RoI are adjacent.

  Attributes:
    boxes: [num_windows, 4] yxyx in padded-image pixels.
    starts: [num_windows] int64 row of the map's first pixel in the table of pixels.
    strides: [num_windows] float32 stride of the map.
    subdivisions: [num_windows] int32 subdivision of the bins, see `roi_view.View`.
    heights: [num_windows] int64 height of the map.
    widths: [num_windows] int64 width of the map.
  """

  boxes: tf.Tensor
  starts: tf.Tensor
  strides: tf.Tensor
  subdivisions: tf.Tensor
  heights: tf.Tensor
  widths: tf.Tensor


def pool(
  pixels: tf.Tensor,
  map_shapes: tuple[tf.Tensor, tf.Tensor],
  rois: tf.Tensor,
  views: Sequence[View],
  size: int,
) -> tf.Tensor:
  """RoIs pooled from every view, summed over the views.

  Args:
    pixels: [num_pixels, channels] float32, map by map, image by image, row by row.
    map_shapes: heights and widths of the maps, [num_maps] int64 each.
    rois: [batch, num_rois, 4] float32 yxyx in padded-image pixels.
    views: one or more views.
    size: number of bins of an RoI along each axis.

  Returns:
    [batch * num_rois * size * size, channels] float32.
  """
  num_views = len(views)
  shape = tf.shape(rois)
  heights, widths = map_shapes
  sizes = heights * widths
  starts = tf.cumsum(sizes * tf.cast(shape[0], tf.int64), exclusive=True)  # [num_maps]
  maps = tf.reshape(tf.stack([view.maps for view in views], axis=1), [-1])  # [num_windows]
  images = tf.range(shape[0] * shape[1] * num_views) // tf.maximum(shape[1] * num_views, 1)
  windows = _Windows(
    boxes=tf.repeat(tf.reshape(rois, [-1, 4]), num_views, axis=0),
    starts=tf.gather(starts, maps) + tf.cast(images, tf.int64) * tf.gather(sizes, maps),
    strides=tf.reshape(tf.stack([view.strides for view in views], axis=1), [-1]),
    subdivisions=tf.tile(tf.constant([view.subdivision for view in views]), [shape[0] * shape[1]]),
    heights=tf.gather(heights, maps),
    widths=tf.gather(widths, maps),
  )
  weights = _bin_weights(windows, size, num_views, tf.shape(pixels, out_type=tf.int64)[0])
  return _weighted_sums(weights, pixels)


_INTEGERS = tf.TensorSpec([None], tf.int64)


@tf.function(
  autograph=False,
  experimental_attributes={'_noinline': True},
  input_signature=[
    _Windows(
      boxes=tf.TensorSpec([None, 4]),
      starts=_INTEGERS,
      strides=tf.TensorSpec([None]),
      subdivisions=tf.TensorSpec([None], tf.int32),
      heights=_INTEGERS,
      widths=_INTEGERS,
    ),
    tf.TensorSpec([], tf.int32),
    tf.TensorSpec([], tf.int32),
    tf.TensorSpec([], tf.int64),
  ],
)
def _bin_weights(
  windows: _Windows, size: tf.Tensor, num_views: tf.Tensor, num_pixels: tf.Tensor
) -> tf.SparseTensor:
  """Sparse [num_rois * size * size, num_pixels] matrix of weights, with ascending rows.

  It is a separate graph function so that a model, which calls it several times, is traced faster.

  Args:
    windows: pairs of RoI and view.
    size: number of bins along each axis.
    num_views: number of windows per RoI.
    num_pixels: number of columns of the matrix.
  """
  rows = _axis_taps(windows, 0, windows.heights, size)
  columns = _axis_taps(windows, 1, windows.widths, size)
  area = size * size
  num_bins = tf.shape(windows.boxes)[0] // num_views * area
  # A bin has a part in each view: parts are ordered by RoI, row, column, view.
  parts = tf.range(num_bins * num_views)
  part_windows = parts // (area * num_views) * num_views + parts % num_views
  part_rows = part_windows * size + parts // (size * num_views) % size
  part_columns = part_windows * size + parts // num_views % size
  # Each part combines the row taps of its row of bins with the column taps of its column.
  row_taps = _taps_of(rows.lengths, part_rows)
  owners = row_taps.owners  # [parts with row taps]
  owner_windows = tf.gather(part_windows, owners)
  offsets = tf.gather(rows.pixels, row_taps.indices) * tf.gather(windows.widths, owner_windows)
  offsets += tf.gather(windows.starts, owner_windows)
  column_taps = _taps_of(columns.lengths, tf.gather(part_columns, owners))
  pairs = column_taps.owners  # [parts with row and column taps]
  pixels = tf.gather(offsets, pairs) + tf.gather(columns.pixels, column_taps.indices)
  bins = tf.gather(owners // tf.cast(num_views, tf.int64), pairs)
  row_weights = tf.gather(tf.gather(rows.weights, row_taps.indices), pairs)
  return tf.SparseTensor(
    tf.stack([bins, pixels], axis=-1),
    row_weights * tf.gather(columns.weights, column_taps.indices),
    tf.stack([tf.cast(num_bins, tf.int64), num_pixels]),
  )


def _axis_taps(windows: _Windows, axis: int, map_sizes: tf.Tensor, num_bins: tf.Tensor) -> _Taps:
  """Taps of all bins along one axis; the samples of a bin are merged into one weight per pixel.

  The samples of a bin are at most one pixel apart, so that n samples read at most n + 1 pixels.

  Args:
    windows: pairs of RoI and view.
    axis: 0 for y, 1 for x.
    map_sizes: [num_windows] int64 size of each window's map along the axis.
    num_bins: number of bins along the axis.
  """
  samples = bin_samples.axis_samples(
    windows.boxes[:, axis],
    windows.boxes[:, axis + 2],
    windows.strides,
    num_bins,
    map_sizes,
    windows.subdivisions,
  )
  num_rows = tf.shape(windows.boxes)[0] * num_bins
  positions = tf.reshape(samples.positions(), [num_rows, -1])  # [windows * num_bins, max_count]
  counts = tf.repeat(samples.counts, num_bins)  # [num_windows * num_bins]
  lengths = tf.where(counts > 0, counts + 1, 0)
  owners, steps = _counted(lengths)  # [taps]
  first = tf.nn.relu(tf.floor(positions[:, 0]))
  pixels = tf.gather(first, owners) + tf.cast(steps, tf.float32)
  weights = bin_samples.bilinear_weights(tf.gather(positions, owners), pixels[:, None])
  weights /= tf.cast(tf.gather(counts, owners), tf.float32)
  # A pixel beyond the border has weight 0, but its index must be inside the map.
  last = tf.gather(map_sizes, owners // tf.cast(num_bins, tf.int64)) - 1
  return _Taps(tf.minimum(tf.cast(pixels, tf.int64), last), weights, lengths)


class _ChosenTaps(NamedTuple):
  """The taps of chosen bins, one bin after another.

  Attributes:
    owners: [chosen taps] int64 number of the bin among the chosen ones.
    indices: [chosen taps] int64 number of the tap among all taps.
  """

  owners: tf.Tensor
  indices: tf.Tensor


def _taps_of(lengths: tf.Tensor, bins: tf.Tensor) -> _ChosenTaps:
  """The taps of the given bins.

  Operations on ragged tensors would do the same, but they have no GPU kernels.

  Args:
    lengths: [num_bins] int32 number of taps of each bin.
    bins: [num_chosen] int32 bins.
  """
  owners, steps = _counted(tf.gather(lengths, bins))
  starts = tf.gather(tf.cumsum(tf.cast(lengths, tf.int64), exclusive=True), bins)
  return _ChosenTaps(owners, tf.gather(starts, owners) + steps)


def _counted(lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Each row n, [num_rows], `lengths[n]` times, and the numbers 0..lengths[n] - 1 beside it.

  Both results are [sum of lengths] int64.
  """
  places = tf.where(tf.sequence_mask(lengths))
  return places[:, 0], places[:, 1]


def _weighted_sums(weights: tf.SparseTensor, pixels: tf.Tensor) -> tf.Tensor:
  """Product of a sparse matrix, which gets no gradient, and a dense matrix, which gets one.

  The compressed-row kernel needs the rows of the matrix in ascending order. It is several times
  faster than `tf.sparse.sparse_dense_matmul`, which processes entry by entry.
  """

  @tf.custom_gradient
  def product(pixels: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    return _multiply(weights, pixels), lambda upstream: _multiply(weights, upstream, transpose=True)

  return product(pixels)


def _multiply(weights: tf.SparseTensor, dense: tf.Tensor, transpose: bool = False) -> tf.Tensor:
  """`weights @ dense`, or `transpose(weights) @ dense`."""

  def multiply() -> tf.Tensor:
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
      indices=weights.indices, values=weights.values, dense_shape=weights.dense_shape
    )
    if transpose:  # With `transpose_a` instead, every thread would allocate a whole result.
      matrix = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=dense)

  def zeros() -> tf.Tensor:
    num_rows = weights.dense_shape[1 if transpose else 0]
    return tf.zeros(tf.stack([num_rows, tf.shape(dense, out_type=tf.int64)[1]]))

  # The kernel divides by the number of rows, and a division by 0 would end the process.
  return tf.cond(tf.size(weights.values) > 0, multiply, zeros)
