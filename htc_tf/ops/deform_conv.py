"""Deformable convolution, version 1 (Dai et al. 2017) and 2 (Zhu et al. 2019)."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops.grouped_conv import grouped_conv2d


def deform_conv2d(
  x: tf.Tensor,
  offsets: tf.Tensor,
  kernel: tf.Tensor,
  stride: int = 1,
  groups: int = 1,
  dilation: int = 1,
  strengths: tf.Tensor | None = None,
) -> tf.Tensor:
  """Convolution whose taps read displaced, bilinearly sampled positions.

  The map is zero outside, so that samples fade to 0 within a pixel beyond the border. Padding
  is dilation * (kernel - 1) / 2 on every side. The taps are processed one at a time, because the
  samples of all taps together are as large as the map times the number of taps. The backward pass
  recomputes the samples.

  Args:
    x: [batch, height, width, channels].
    offsets: [batch, ceil(height / stride), ceil(width / stride), 2 * kernel_height * kernel_width]
      dy, dx of each tap in pixels of `x`, taps row by row; the same for all groups.
    kernel: [kernel_height, kernel_width, channels / groups, filters] of the dtype of `x`.
    stride: stride along y and x.
    groups: number of groups of channels, as in `grouped_conv2d`.
    dilation: distance of neighboring taps in pixels, before they are displaced.
    strengths: [batch, ceil(height / stride), ceil(width / stride), kernel_height * kernel_width]
      factor on the sample of each tap (version 2); None for 1.

  Returns:
    [batch, ceil(height / stride), ceil(width / stride), filters] of the dtype of `x`.
  """
  positions = _positions(offsets, kernel.shape[:2], stride, dilation)  # [batch, h, w, taps, 2]
  if strengths is not None:
    factors = tf.cast(strengths, tf.float32)[..., tf.newaxis]
    positions = tf.concat([positions, factors], -1)  # [batch, h, w, taps, 3]
  positions = tf.transpose(positions, [3, 0, 1, 2, 4])  # [taps, batch, h, w, 2 or 3]
  kernels = tf.reshape(kernel, [-1, 1, 1, *kernel.shape[2:]])  # [taps, 1, 1, in, out]
  return _sum_taps(x, positions, kernels, groups)


def _sum_taps(x: tf.Tensor, positions: tf.Tensor, kernels: tf.Tensor, groups: int) -> tf.Tensor:
  """Sum over the taps of pointwise convolutions of their samples."""
  num_taps, channels, filters = kernels.shape[0], x.shape[-1], kernels.shape[-1]

  @tf.custom_gradient
  def run(x, positions, kernels):
    shape = tf.shape(x)
    flat = tf.reshape(x, [-1, channels])  # [batch * height * width, channels]

    def add_tap(tap, total):
      samples = _sample(flat, _corners(positions[tap], shape))
      return tap + 1, total + tf.cast(_convolve(samples, kernels[tap], groups), tf.float32)

    def gradient(upstream):
      def add_tap_gradient(tap, pixel_gradient, position_gradients, kernel_gradients):
        corners = _corners(positions[tap], shape)
        tap_gradient = _tap_gradient(flat, corners, kernels[tap], groups, upstream)
        return (
          tap + 1,
          pixel_gradient + tap_gradient[0],
          position_gradients.write(tap, tap_gradient[1]),
          kernel_gradients.write(tap, tap_gradient[2]),
        )

      position_gradients = tf.TensorArray(tf.float32, num_taps, element_shape=positions.shape[1:])
      kernel_gradients = tf.TensorArray(kernels.dtype, num_taps, element_shape=kernels.shape[1:])
      zeros = tf.zeros(tf.shape(flat), tf.float32)
      _, pixel_gradient, position_gradients, kernel_gradients = tf.while_loop(
        lambda tap, *_: tap < num_taps,
        add_tap_gradient,
        [0, zeros, position_gradients, kernel_gradients],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, channels]), None, None],
        parallel_iterations=1,
      )
      x_gradient = tf.cast(tf.reshape(pixel_gradient, shape), x.dtype)
      return x_gradient, position_gradients.stack(), kernel_gradients.stack()

    zeros = tf.zeros(tf.concat([tf.shape(positions)[1:4], [filters]], 0))
    _, total = tf.while_loop(
      lambda tap, _: tap < num_taps,
      add_tap,
      [0, zeros],
      shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, None, None, filters])],
      parallel_iterations=1,
    )
    total = tf.ensure_shape(total, [*positions.shape[1:4], filters])
    return tf.cast(total, x.dtype), gradient

  return run(x, positions, kernels)


def _convolve(samples: tf.Tensor, kernel: tf.Tensor, groups: int) -> tf.Tensor:
  """Pointwise convolution of the samples of one tap."""
  return grouped_conv2d(samples, kernel, groups, (1, 1), 'VALID')


def _positions(
  offsets: tf.Tensor, kernel_size: tuple[int, int], stride: int, dilation: int
) -> tf.Tensor:
  """Positions that each tap reads: [batch, h, w, taps, 2] float32 y, x in pixels of the map."""
  num_taps = kernel_size[0] * kernel_size[1]
  height, width = tf.unstack(tf.shape(offsets)[1:3])
  taps = tf.meshgrid(*(tf.range(size) - (size - 1) // 2 for size in kernel_size), indexing='ij')
  taps = tf.reshape(tf.stack(taps, -1), [num_taps, 2]) * dilation
  centers = tf.stack(tf.meshgrid(tf.range(height), tf.range(width), indexing='ij'), -1) * stride
  grid = centers[:, :, tf.newaxis] + taps  # [h, w, taps, 2]
  shape = tf.concat([tf.shape(offsets)[:3], [num_taps, 2]], 0)
  return tf.cast(grid, tf.float32) + tf.cast(tf.reshape(offsets, shape), tf.float32)


class _Corner(NamedTuple):
  """One of the four pixels around each position.

  Attributes:
    rows: [batch, h, w] row of the pixel in the map flattened to [batch * height * width, channels].
    weights: [batch, h, w] float32 weight of the pixel in the sample; 0 outside the map.
    slopes: [batch, h, w, 2 or 3] float32 derivative of the weight by y, x and the strength, if any.
  """

  rows: tf.Tensor
  weights: tf.Tensor
  slopes: tf.Tensor


def _sample(flat: tf.Tensor, corners: Sequence[_Corner]) -> tf.Tensor:
  """Samples [batch, h, w, channels] of the pixels [batch * height * width, channels]."""
  return tf.add_n(
    [
      tf.gather(flat, corner.rows) * tf.cast(corner.weights, flat.dtype)[..., tf.newaxis]
      for corner in corners
    ]
  )


def _tap_gradient(
  flat: tf.Tensor,
  corners: Sequence[_Corner],
  kernel: tf.Tensor,
  groups: int,
  upstream: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Gradients of the pixels and the positions, float32, and of the kernel, for one tap."""
  samples = _sample(flat, corners)
  with tf.GradientTape() as tape:
    tape.watch([samples, kernel])
    outputs = _convolve(samples, kernel, groups)
  sample_gradient, kernel_gradient = tape.gradient(outputs, [samples, kernel], upstream)
  pixel_gradient, position_gradient = _sample_gradient(
    flat, corners, tf.cast(sample_gradient, tf.float32)
  )
  return pixel_gradient, position_gradient, kernel_gradient


def _sample_gradient(
  flat: tf.Tensor, corners: Sequence[_Corner], upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Gradients of the pixels and of the positions [batch, h, w, 2 or 3], float32."""
  pixel_gradients, position_gradients = [], []
  for corner in corners:
    shares = corner.weights[..., tf.newaxis] * upstream  # [batch, h, w, channels]
    pixel_gradients.append(tf.math.unsorted_segment_sum(shares, corner.rows, tf.shape(flat)[0]))
    values = tf.cast(tf.gather(flat, corner.rows), tf.float32)
    position_gradients.append(tf.reduce_sum(values * upstream, -1, keepdims=True) * corner.slopes)
  return tf.add_n(pixel_gradients), tf.add_n(position_gradients)


def _corners(positions: tf.Tensor, shape: tf.Tensor) -> list[_Corner]:
  """Four corners of positions [batch, h, w, 2 or 3] in a map [batch, height, width, channels]."""
  return [_corner(positions, shape, below, right) for below in (0, 1) for right in (0, 1)]


def _corner(positions: tf.Tensor, shape: tf.Tensor, below: int, right: int) -> _Corner:
  """Corner above (0) or below (1), left (0) or right (1) of positions [batch, h, w, 2 or 3].

  The third value of a position is the strength of its sample.
  """
  side = tf.constant([below, right], tf.float32)
  origin = tf.floor(positions[..., :2])
  fraction = positions[..., :2] - origin
  shares = side * fraction + (1.0 - side) * (1.0 - fraction)  # [batch, h, w, 2] along y and x
  pixels, last = origin + side, tf.cast(shape[1:3] - 1, tf.float32)
  inside = tf.cast(tf.reduce_all((pixels >= 0.0) & (pixels <= last), -1), tf.float32)
  y, x = tf.unstack(tf.cast(tf.clip_by_value(pixels, 0.0, last), tf.int32), axis=-1)
  images = tf.range(shape[0])[:, tf.newaxis, tf.newaxis] * shape[1] * shape[2]
  weights = tf.reduce_prod(shares, -1) * inside  # [batch, h, w]
  slopes = (2.0 * side - 1.0) * shares[..., ::-1] * inside[..., tf.newaxis]
  if positions.shape[-1] == 3:
    strengths = positions[..., 2]
    slopes = tf.concat([slopes * strengths[..., tf.newaxis], weights[..., tf.newaxis]], -1)
    weights *= strengths
  return _Corner(images + y * shape[2] + x, weights, slopes)
