"""Exact RoIAlign (aligned, adaptive sampling ratio) on one map and on a feature pyramid.

An output bin is a weighted sum of feature pixels, and its weights are the outer product of weights
along y and along x. The mean over a bin's samples folds into these, so a pixel is read once for
each bin it touches, however many samples fall near it. All weights together form one sparse matrix
from pixels to bins; its product with the map is the forward pass, and the product of its transpose
with the upstream gradient the backward pass.
"""

from typing import Any, Dict, Mapping, NamedTuple

import tensorflow as tf
import tf_keras

from htc_tf import errors
from htc_tf.ops import bin_samples
from htc_tf.ops import boxes as box_ops

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
  shape = tf.shape(rois)
  rois_of_batch = tf.reshape(rois, [-1, 4])  # [batch * num_rois, 4]
  images = tf.range(shape[0] * shape[1]) // tf.maximum(shape[1], 1)
  pooled = _align_rows(feature, rois_of_batch, images, stride, output_size)
  return _unflatten(pooled, rois, feature.shape[-1])


class MultilevelRoIAligner(tf_keras.layers.Layer):
  """Pools every RoI from the one level of a pyramid that fits its size (FPN, equation 1)."""

  def __init__(self, crop_size: int, finest_scale: float = 56.0, min_level: int = 2,
               max_level: int = 5, level_rule: str = 'mmdet', **kwargs):
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
      raise errors.ConfigError('Unknown level rule of the RoI aligner',
                               expected=f'one of {sorted(_LEVEL_RULES)}', got=repr(level_rule))
    self._crop_size = crop_size
    self._finest_scale = finest_scale
    self._min_level = min_level
    self._max_level = max_level
    self._level_rule = level_rule

  def call(self, features: Mapping[str, tf.Tensor], boxes: tf.Tensor, training=None) -> tf.Tensor:
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
    rois = tf.reshape(tf.cast(boxes, tf.float32), [-1, 4])  # [batch * num_rois, 4]
    levels = self.assign_levels(rois)
    num_rois = tf.maximum(tf.shape(boxes)[1], 1)
    rows_of_levels, pooled = [], []
    for level in range(self._min_level, self._max_level + 1):
      rows = tf.cast(tf.where(tf.equal(levels, level))[:, 0], tf.int32)
      rows_of_levels.append(rows)
      pooled.append(_align_rows(features[str(level)], tf.gather(rois, rows), rows // num_rois,
                                2.0**level, self._crop_size))
    channels = features[str(self._min_level)].shape[-1]
    return _unflatten(tf.dynamic_stitch(rows_of_levels, pooled), boxes, channels)

  def assign_levels(self, rois: tf.Tensor) -> tf.Tensor:
    """Returns the [...] int32 level that each of `rois` [..., 4] is pooled from."""
    unit, power = _LEVEL_RULES[self._level_rule]
    scales = tf.sqrt(box_ops.area(rois)) / (unit * self._finest_scale) + 1e-6
    levels = tf.fill(tf.shape(scales), self._min_level)
    for step in range(1, self._max_level - self._min_level + 1):
      levels += tf.cast(scales >= 2.0**(step + power), tf.int32)
    return levels

  def get_config(self) -> Dict[str, Any]:
    return {
        **super().get_config(),
        'crop_size': self._crop_size,
        'finest_scale': self._finest_scale,
        'min_level': self._min_level,
        'max_level': self._max_level,
        'level_rule': self._level_rule,
    }


class _Taps(NamedTuple):
  """The pixels that every bin touches along one axis, ragged: `lengths[n]` of them for row n.

  Attributes:
    pixels: [taps] int64 pixel of the map.
    weights: [taps] float32 share of the pixel in the bin.
    lengths: [num_rois * num_bins] int32 number of taps.
  """
  pixels: tf.Tensor
  weights: tf.Tensor
  lengths: tf.Tensor


def _align_rows(feature: tf.Tensor, rois: tf.Tensor, images: tf.Tensor, stride: float,
                output_size: int) -> tf.Tensor:
  """Pools `rois` [num_rois, 4] of the `images` [num_rois]; [num_rois, size, size, channels]."""
  rois = tf.stop_gradient(tf.cast(rois, tf.float32))
  shape = tf.shape(feature, out_type=tf.int64)
  pixels = tf.reshape(tf.cast(feature, tf.float32), [-1, feature.shape[-1]])
  weights = _bin_weights(rois, tf.cast(images, tf.int64), stride, output_size, shape)
  pooled = tf.cast(_weighted_sums(weights, pixels), feature.dtype)
  return tf.reshape(pooled, [-1, output_size, output_size, feature.shape[-1]])


@tf.function(autograph=False, experimental_attributes={'_noinline': True}, input_signature=[
    tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int64), tf.TensorSpec([]),
    tf.TensorSpec([], tf.int32), tf.TensorSpec([4], tf.int64)])
def _bin_weights(rois: tf.Tensor, images: tf.Tensor, stride: tf.Tensor, output_size: tf.Tensor,
                 shape: tf.Tensor) -> tf.SparseTensor:
  """Returns the sparse [num_rois * size * size, batch * height * width] matrix, rows ascending.

  A function of the graph of its own: a model calls it twenty times, and is traced faster so.
  """
  batch, height, width = shape[0], shape[1], shape[2]
  rows = _axis_taps(rois[:, 0], rois[:, 2], stride, output_size, height)
  columns = _axis_taps(rois[:, 1], rois[:, 3], stride, output_size, width)
  bins = tf.range(tf.shape(rois)[0] * output_size**2)
  # Each bin meets the row taps of its row of bins, and each of these the column taps of its column.
  bin_rows = bins // output_size  # [bins]
  bin_columns = bins // output_size**2 * output_size + bins % output_size
  owners = tf.repeat(bins, tf.gather(rows.lengths, bin_rows))  # [bins with row taps]
  offsets = tf.gather(images * height, owners // output_size**2)
  offsets = (offsets + _gather_ragged(rows.pixels, rows.lengths, bin_rows)) * width
  row_weights = _gather_ragged(rows.weights, rows.lengths, bin_rows)
  bin_columns = tf.gather(bin_columns, owners)
  repeats = tf.gather(columns.lengths, bin_columns)
  pairs = tf.repeat(tf.range(tf.size(owners)), repeats)  # [bins with row and column taps]
  pixels = _gather_ragged(columns.pixels, columns.lengths, bin_columns)
  weights = _gather_ragged(columns.weights, columns.lengths, bin_columns)
  indices = tf.stack([tf.cast(owners, tf.int64), offsets], axis=-1)
  indices = tf.gather(indices, pairs) + tf.stack([tf.zeros_like(pixels), pixels], axis=-1)
  num_bins = tf.size(bins, out_type=tf.int64)
  return tf.SparseTensor(indices, tf.gather(row_weights, pairs) * weights,
                         tf.stack([num_bins, batch * height * width]))


def _axis_taps(begins: tf.Tensor, ends: tf.Tensor, stride: float, num_bins: int,
               map_size: tf.Tensor) -> _Taps:
  """Merges the samples of each bin into one weight a pixel.

  The samples of a bin lie a pixel apart at most, so n of them touch at most n + 1 pixels.
  """
  samples = bin_samples.axis_samples(begins, ends, stride, num_bins, map_size)
  num_rows = tf.shape(begins)[0] * num_bins
  positions = tf.reshape(samples.positions, [num_rows, -1])  # [num_rois * num_bins, max_count]
  counts = tf.repeat(samples.counts, num_bins)  # [num_rois * num_bins]
  lengths = tf.where(counts > 0, counts + 1, 0)
  owners = tf.repeat(tf.range(num_rows), lengths)  # [taps]
  steps = tf.ragged.range(lengths).values  # [taps]
  first = tf.nn.relu(tf.floor(positions[:, 0]))
  pixels = tf.gather(first, owners) + tf.cast(steps, tf.float32)
  weights = bin_samples.bilinear_weights(tf.gather(positions, owners), pixels[:, None])
  weights /= tf.cast(tf.gather(counts, owners), tf.float32)
  # A pixel beyond the border has weight 0 and needs a place in the map only.
  return _Taps(tf.minimum(tf.cast(pixels, tf.int64), map_size - 1), weights, lengths)


def _gather_ragged(values: tf.Tensor, lengths: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
  """Concatenates the given rows of the ragged rows of `lengths` that make up `values`."""
  ragged = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
  return tf.gather(ragged, rows).values


def _weighted_sums(weights: tf.SparseTensor, pixels: tf.Tensor) -> tf.Tensor:
  """Multiplies a sparse matrix that gets no gradient with a dense one that does.

  The compressed-row kernel is several times faster than `tf.sparse.sparse_dense_matmul`, which
  works entry by entry; it wants the rows of the matrix in order.
  """

  @tf.custom_gradient
  def product(pixels):
    return _multiply(weights, pixels), lambda upstream: _multiply(weights, upstream, transpose=True)

  return product(pixels)


def _multiply(weights: tf.SparseTensor, dense: tf.Tensor, transpose: bool = False) -> tf.Tensor:
  """Returns `weights @ dense` or `transpose(weights) @ dense`."""

  def multiply():
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=weights.indices, values=weights.values, dense_shape=weights.dense_shape)
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=dense, transpose_a=transpose)

  def zeros():
    num_rows = weights.dense_shape[1 if transpose else 0]
    return tf.zeros(tf.stack([num_rows, tf.shape(dense, out_type=tf.int64)[1]]))

  # The kernel divides by the number of rows: a level without RoIs would end the process.
  return tf.cond(tf.size(weights.values) > 0, multiply, zeros)


def _unflatten(pooled: tf.Tensor, rois: tf.Tensor, channels: int) -> tf.Tensor:
  """Reshapes [batch * num_rois, size, size, channels] to [batch, num_rois, ...]."""
  size = pooled.shape[1]
  shape = tf.concat([tf.shape(rois)[:2], [size, size, channels]], axis=0)
  pooled = tf.reshape(pooled, shape)  # [batch, num_rois, size, size, channels]
  return tf.ensure_shape(pooled, [rois.shape[0], rois.shape[1], size, size, channels])
