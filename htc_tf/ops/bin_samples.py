"""Where the bins of RoIAlign (Mask R-CNN, section 3) sample one axis of a map."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import xla

Number = float | tf.Tensor
# Any coordinate that lies a pixel or more below the map: it has weight 0 at every pixel.
_NOWHERE = -2.0


class AxisSamples(NamedTuple):
  """The samples that the bins of each RoI take along one axis of a map.

  Attributes:
    starts: [num_rois, num_bins] float32 where the bins begin, in pixels of the map, pixel centres
      at integers.
    spacings: [num_rois] float32 distance of the samples, at most 1.
    counts: [num_rois] int32 samples a bin takes; 0 for an RoI without extent.
    limits: [1 or num_rois] float32 pixels of the map along the axis.
  """

  starts: tf.Tensor
  spacings: tf.Tensor
  counts: tf.Tensor
  limits: tf.Tensor

  def positions(self) -> tf.Tensor:
    """[num_rois, num_bins, max_count] float32, as `positions_of` gives them."""
    most = tf.reduce_max(tf.pad(self.counts, [[0, 1]], constant_values=1))
    return self.positions_of(tf.range(most))

  def positions_of(self, steps: tf.Tensor) -> tf.Tensor:
    """Where the samples of some numbers lie.

    Args:
      steps: [num_steps] int32.

    Returns:
      [num_rois, num_bins, num_steps] float32 pixels of the map, clamped to it; -2 where a sample
      counts as 0 or does not exist.
    """
    limits = self.limits[:, None, None]
    offsets = (tf.cast(steps, tf.float32) + 0.5) * self.spacings[:, None]  # [num_rois, num_steps]
    positions = self.starts[:, :, None] + offsets[:, None, :]
    counted = (positions >= -1.0) & (positions <= limits) & (steps < self.counts[:, None, None])
    return tf.where(counted, tf.clip_by_value(positions, 0.0, limits - 1.0), _NOWHERE)


def axis_samples(
  begins: tf.Tensor,
  ends: tf.Tensor,
  stride: Number,
  num_bins: int,
  map_size: tf.Tensor,
  subdivision: int | tf.Tensor = 1,
) -> AxisSamples:
  """Lays out the samples: ceil(bin size in pixels of the map) evenly spaced ones in every bin.

  A sample more than a pixel outside the map counts as 0 in the mean of its bin.

  Args:
    begins: [num_rois] float32 lower edges of the RoIs along the axis, padded-image pixels.
    ends: [num_rois] float32 upper edges.
    stride: scalar or [num_rois], padded-image pixels per pixel of the map.
    num_bins: bins of an RoI along the axis.
    map_size: scalar or [num_rois], pixels of the map along the axis.
    subdivision: scalar or [num_rois] int; with n, a bin takes the samples of the n equal bins it
      splits into, so that its mean is the average of the n bins of a finer RoIAlign.
  """
  starts = begins / stride - 0.5
  subdivision = tf.convert_to_tensor(subdivision, tf.int32)
  part_sizes = _divide((ends / stride - 0.5) - starts, num_bins * subdivision)
  part_counts = tf.cast(tf.math.ceil(tf.nn.relu(part_sizes)), tf.int32)
  bin_sizes = part_sizes * tf.cast(subdivision, tf.float32)
  bin_starts = starts[:, None] + tf.range(num_bins, dtype=tf.float32) * bin_sizes[:, None]
  return AxisSamples(
    bin_starts,
    _divide(part_sizes, part_counts),
    part_counts * subdivision,
    tf.reshape(tf.cast(map_size, tf.float32), [-1]),
  )


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
  weights = bilinear_weights(samples.positions()[:, :, None, :], pixels[:, None])
  return _divide(weights, samples.counts[:, None, None])


def static_pixel_weights(samples: AxisSamples, num_pixels: int) -> tf.Tensor:
  """Returns `pixel_weights` from pixel 0 on by a loop over the samples: all shapes are static.

  Args:
    samples: the layout along the axis.
    num_pixels: how many.

  Returns:
    [num_rois, num_bins, num_pixels] float32.
  """
  pixels = tf.range(num_pixels, dtype=tf.float32)

  def add_sample(step: tf.Tensor, weights: tf.Tensor):
    position = samples.positions_of(step[None])  # [num_rois, num_bins, 1]
    return step + 1, weights + tf.nn.relu(1.0 - tf.abs(position - pixels))

  zeros = tf.zeros([*samples.starts.shape, num_pixels])
  most = tf.reduce_max(tf.pad(samples.counts, [[0, 1]]))
  _, weights = tf.while_loop(lambda step, _: step < most, add_sample, (0, zeros))
  return _divide(weights, samples.counts[:, None, None])


def bilinear_weights(positions: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
  """Returns the summed bilinear weights, [...], of samples [..., count] at pixels [..., 1]."""
  return tf.reduce_sum(tf.nn.relu(1.0 - tf.abs(positions - pixels)), axis=-1)


def _divide(values: tf.Tensor, divisor) -> tf.Tensor:
  """Divides by an integer with correct rounding; by 0 gives 0.

  Both graph optimisers replace a plain division by a constant with a product with the reciprocal.
  A bin of exactly n pixels would then count as a little more, and take n + 1 samples.
  """
  return tf.math.divide_no_nan(values, xla.opaque(tf.cast(divisor, tf.float32)))
