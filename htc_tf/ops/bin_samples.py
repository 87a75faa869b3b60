"""Where the bins of RoIAlign (Mask R-CNN, section 3) sample one axis of a map."""

from typing import NamedTuple

import tensorflow as tf

# Any coordinate that lies a pixel or more below the map: it has weight 0 at every pixel.
_NOWHERE = -2.0


class AxisSamples(NamedTuple):
  """The samples that the bins of each RoI take along one axis of a map.

  Attributes:
    positions: [num_rois, num_bins, max_count] float32 pixels of the map, pixel centres at integers,
      clamped to the map; -2 where a sample counts as 0 or does not exist.
    counts: [num_rois] int32 samples a bin takes; 0 for an RoI without extent.
  """
  positions: tf.Tensor
  counts: tf.Tensor


def axis_samples(begins: tf.Tensor, ends: tf.Tensor, stride: float, num_bins: int,
                 map_size: tf.Tensor) -> AxisSamples:
  """Lays out the samples: ceil(bin size in pixels of the map) evenly spaced ones in every bin.

  A sample more than a pixel outside the map counts as 0 in the mean of its bin.

  Args:
    begins: [num_rois] float32 lower edges of the RoIs along the axis, padded-image pixels.
    ends: [num_rois] float32 upper edges.
    stride: padded-image pixels per pixel of the map.
    num_bins: bins of an RoI along the axis.
    map_size: scalar, pixels of the map along the axis.
  """
  starts = begins / stride - 0.5
  bin_sizes = _divide((ends / stride - 0.5) - starts, num_bins)
  counts = tf.cast(tf.math.ceil(tf.nn.relu(bin_sizes)), tf.int32)
  steps = tf.range(tf.reduce_max(tf.pad(counts, [[0, 1]], constant_values=1)))  # [max_count]
  spacings = _divide(bin_sizes, counts)
  bin_starts = starts[:, None] + tf.range(num_bins, dtype=tf.float32) * bin_sizes[:, None]
  offsets = (tf.cast(steps, tf.float32) + 0.5) * spacings[:, None]  # [num_rois, max_count]
  positions = bin_starts[:, :, None] + offsets[:, None, :]
  limit = tf.cast(map_size, tf.float32)
  counted = (positions >= -1.0) & (positions <= limit) & (steps < counts[:, None, None])
  return AxisSamples(
      tf.where(counted, tf.clip_by_value(positions, 0.0, limit - 1.0), _NOWHERE), counts)


def pixel_weights(samples: AxisSamples, first: tf.Tensor, num_pixels: tf.Tensor) -> tf.Tensor:
  """Returns the share of every pixel in every bin; an image times it is the mean of its samples.

  RoIAlign is separable: output = weights_y @ map @ transpose(weights_x).

  Args:
    samples: the layout along the axis.
    first: scalar int, the first pixel of the map to return weights for.
    num_pixels: scalar int, how many.

  Returns:
    [num_rois, num_bins, num_pixels] float32.
  """
  pixels = tf.cast(first + tf.range(num_pixels), tf.float32)
  weights = bilinear_weights(samples.positions[:, :, None, :], pixels[:, None])
  return _divide(weights, samples.counts[:, None, None])


def bilinear_weights(positions: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
  """Returns the summed bilinear weights, [...], of samples [..., count] at pixels [..., 1]."""
  return tf.reduce_sum(tf.nn.relu(1.0 - tf.abs(positions - pixels)), axis=-1)


def _divide(values: tf.Tensor, divisor) -> tf.Tensor:
  """Divides by an integer with correct rounding; by 0 gives 0.

  The graph optimiser replaces a plain division by a constant with a product with the reciprocal.
  A bin of exactly n pixels would then count as a little more, and take n + 1 samples.
  """
  return tf.math.divide_no_nan(values, tf.cast(divisor, tf.float32))
