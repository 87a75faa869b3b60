"""Positions at which the bins of RoIAlign (Mask R-CNN, section 3) sample one axis of a map."""

from typing import NamedTuple, TypeAlias

import tensorflow as tf

from htc_tf.ops import plain, xla

Number: TypeAlias = float | tf.Tensor
# Position of a sample that does not count. Any position of -1 or less has weight 0 at every pixel.
_OUTSIDE = -2.0


class AxisSamples(NamedTuple):
  """The samples that the bins of each RoI take along one axis of a map.

  Attributes:
    starts: [num_rois, num_bins] float32 lower edges of the bins, in pixels of the map; pixel
      centers are at integers.
    spacings: [num_rois] float32 distance between samples, at most 1.
    counts: [num_rois] int32 number of samples per bin; 0 for an RoI without extent.
    limits: [1 or num_rois] float32 size of the map along the axis, in its pixels.
  """

  starts: tf.Tensor
  spacings: tf.Tensor
  counts: tf.Tensor
  limits: tf.Tensor

  def positions(self) -> tf.Tensor:
    """Positions of all samples, [num_rois, num_bins, max_count] float32; see `positions_of`."""
    max_count = tf.reduce_max(tf.pad(self.counts, [[0, 1]], constant_values=1))
    return self.positions_of(tf.range(max_count))

  def positions_of(self, steps: tf.Tensor) -> tf.Tensor:
    """Positions of the samples with the given numbers.

    Args:
      steps: [num_steps] int32 numbers of samples within a bin, from 0 on.

    Returns:
      [num_rois, num_bins, num_steps] float32 in pixels of the map, clamped to it; -2 where a sample
      counts as 0 or does not exist.
    """
    limits = self.limits[:, None, None]
    offsets = (tf.cast(steps, tf.float32) + 0.5) * self.spacings[:, None]  # [num_rois, num_steps]
    positions = self.starts[:, :, None] + offsets[:, None, :]
    counted = (positions >= -1.0) & (positions <= limits) & (steps < self.counts[:, None, None])
    return tf.where(counted, tf.clip_by_value(positions, 0.0, limits - 1.0), _OUTSIDE)


def axis_samples(
  begins: tf.Tensor,
  ends: tf.Tensor,
  stride: Number,
  num_bins: int,
  map_size: tf.Tensor,
  subdivision: int | tf.Tensor = 1,
) -> AxisSamples:
  """Layout of the samples along one axis of a map.

  Every bin has ceil(bin size in pixels of the map) evenly spaced samples. A sample more than a
  pixel outside the map counts as 0 in the mean of its bin.

  Args:
    begins: [num_rois] float32 lower edges of the RoIs along the axis, in padded-image pixels.
    ends: [num_rois] float32 upper edges of the RoIs.
    stride: scalar or [num_rois], padded-image pixels per pixel of the map.
    num_bins: number of bins of an RoI along the axis.
    map_size: scalar or [num_rois], size of the map along the axis, in its pixels.
    subdivision: scalar or [num_rois] int; with n, a bin takes the samples of n equal smaller bins,
      so that its mean is the average of the n bins of a finer RoIAlign.
  """
  starts = begins / stride - 0.5
  subdivision = tf.convert_to_tensor(subdivision, tf.int32)
  num_parts = num_bins * subdivision
  extents = (ends / stride - 0.5) - starts
  part_sizes = _divide(extents, num_parts)
  part_counts = tf.cast(tf.math.ceil(tf.nn.relu(part_sizes)), tf.int32)
  if plain.required():
    part_counts = _exact_counts(part_counts, extents, num_parts)
  bin_sizes = part_sizes * tf.cast(subdivision, tf.float32)
  bin_starts = starts[:, None] + tf.range(num_bins, dtype=tf.float32) * bin_sizes[:, None]
  return AxisSamples(
    bin_starts,
    _divide(part_sizes, part_counts),
    part_counts * subdivision,
    tf.reshape(tf.cast(map_size, tf.float32), [-1]),
  )


def pixel_weights(samples: AxisSamples, first: tf.Tensor, num_pixels: tf.Tensor) -> tf.Tensor:
  """Share of every pixel in the mean over the samples of every bin.

  RoIAlign is separable: output = weights_y @ map @ transpose(weights_x).

  Args:
    samples: layout of the samples along the axis.
    first: scalar int, first pixel of the map to compute weights for.
    num_pixels: scalar int, number of pixels to compute weights for.

  Returns:
    [num_rois, num_bins, num_pixels] float32.
  """
  pixels = tf.cast(first + tf.range(num_pixels), tf.float32)
  weights = bilinear_weights(samples.positions()[:, :, None, :], pixels[:, None])
  return _divide(weights, samples.counts[:, None, None])


def static_pixel_weights(samples: AxisSamples, num_pixels: int) -> tf.Tensor:
  """`pixel_weights` from pixel 0 on, computed by a loop over the samples with static shapes.

  Args:
    samples: layout of the samples along the axis.
    num_pixels: number of pixels to compute weights for.

  Returns:
    [num_rois, num_bins, num_pixels] float32.
  """
  pixels = tf.range(num_pixels, dtype=tf.float32)

  def add_sample(step: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    position = samples.positions_of(step[None])  # [num_rois, num_bins, 1]
    return step + 1, weights + tf.nn.relu(1.0 - tf.abs(position - pixels))

  zeros = tf.zeros([*samples.starts.shape, num_pixels])
  max_count = tf.reduce_max(tf.pad(samples.counts, [[0, 1]]))
  _, weights = tf.while_loop(lambda step, _: step < max_count, add_sample, (0, zeros))
  return _divide(weights, samples.counts[:, None, None])


def bilinear_weights(positions: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
  """Summed bilinear weights, [...], of samples [..., count] at pixels [..., 1]."""
  return tf.reduce_sum(tf.nn.relu(1.0 - tf.abs(positions - pixels)), axis=-1)


def _exact_counts(counts: tf.Tensor, extents: tf.Tensor, num_parts: tf.Tensor) -> tf.Tensor:
  """The smallest counts for which counts * num_parts >= extents, without a division.

  Other runtimes multiply by the reciprocal of a constant, and nothing hides a constant from all of
  them. The result is the ceiling of the correctly rounded quotient: a quotient of float32 numbers
  above an integer is not rounded to it if the product with the divisor is exact.

  Args:
    counts: [num] int32 ceilings of quotients that may be off by one unit in the last place.
    extents: [num] float32 dividends.
    num_parts: scalar or [num] int32 divisors.
  """

  def covers(counts: tf.Tensor) -> tf.Tensor:
    return tf.cast(counts * num_parts, tf.float32) >= extents

  counts = tf.where(covers(counts - 1), counts - 1, counts)
  counts = tf.where(covers(counts), counts, counts + 1)
  return tf.maximum(counts, 0)


def _divide(values: tf.Tensor, divisor: int | tf.Tensor) -> tf.Tensor:
  """Quotient by an integer, correctly rounded; 0 if the divisor is 0.

  The graph optimizers of TensorFlow and XLA replace a plain division by a constant with a
  multiplication by the reciprocal. A bin of exactly n pixels would then be slightly larger than n
  and take n + 1 samples.
  """
  return tf.math.divide_no_nan(values, xla.opaque(tf.cast(divisor, tf.float32)))
