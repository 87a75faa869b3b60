"""Deformable convolution, version 1 (Dai et al. 2017)."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops.grouped_conv import grouped_conv2d


def deform_conv2d(
  x: tf.Tensor, offsets: tf.Tensor, kernel: tf.Tensor, stride: int = 1, groups: int = 1
) -> tf.Tensor:
  """Convolution whose taps read displaced, bilinearly sampled positions.

  The map is zero outside: a tap within a pixel of the border fades out. Padding is
  (kernel - 1) / 2 on every side. Works tap after tap: the samples of all taps would be as large as
  the map times their number. The backward pass makes them again instead of keeping them.

  Args:
    x: [batch, height, width, channels].
    offsets: [batch, ceil(height / stride), ceil(width / stride), 2 * kernel_height * kernel_width]
      dy, dx of each tap in pixels of `x`, taps row by row; the same for all groups.
    kernel: [kernel_height, kernel_width, channels / groups, filters] of the type of `x`.
    stride: along y and x.
    groups: of channels, as `grouped_conv2d` has them.

  Returns:
    [batch, ceil(height / stride), ceil(width / stride), filters] of the type of `x`.
  """
  positions = _positions(offsets, kernel.shape[:2], stride)  # [batch, h, w, taps, 2]
  positions = tf.transpose(positions, [3, 0, 1, 2, 4])  # [taps, batch, h, w, 2]
  kernels = tf.reshape(kernel, [-1, 1, 1, *kernel.shape[2:]])  # [taps, 1, 1, in, out]
  return _sum_taps(x, positions, kernels, groups)


def _sum_taps(x, positions, kernels, groups):
  """Sum over taps of pointwise convolutions of the samples."""
  num_taps, channels, filters = kernels.shape[0], x.shape[-1], kernels.shape[-1]

  def convolve(samples, kernel):
    return grouped_conv2d(samples, kernel, groups, (1, 1), 'VALID')

  @tf.custom_gradient
  def run(x, positions, kernels):
    shape = tf.shape(x)
    flat = tf.reshape(x, [-1, channels])  # [batch * height * width, channels]

    def add_tap(tap, total):
      samples = _sample(flat, _corners(positions[tap], shape))
      return tap + 1, total + tf.cast(convolve(samples, kernels[tap]), tf.float32)

    def add_gradient(upstream):
      def step(tap, pixels, moves, kernel_gradients):
        corners = _corners(positions[tap], shape)
        samples, kernel = _sample(flat, corners), kernels[tap]
        with tf.GradientTape() as tape:
          tape.watch([samples, kernel])
          outputs = convolve(samples, kernel)
        by_samples, by_kernel = tape.gradient(outputs, [samples, kernel], upstream)
        pixel, move = _sample_gradient(flat, corners, tf.cast(by_samples, tf.float32))
        return (
          tap + 1,
          pixels + pixel,
          moves.write(tap, move),
          kernel_gradients.write(tap, by_kernel),
        )

      return step

    def gradient(upstream):
      moves = tf.TensorArray(tf.float32, num_taps, element_shape=positions.shape[1:])
      by_kernel = tf.TensorArray(kernels.dtype, num_taps, element_shape=kernels.shape[1:])
      zeros = tf.zeros(tf.shape(flat), tf.float32)
      _, pixels, moves, by_kernel = tf.while_loop(
        lambda tap, *_: tap < num_taps,
        add_gradient(upstream),
        [0, zeros, moves, by_kernel],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, channels]), None, None],
        parallel_iterations=1,
      )
      return tf.cast(tf.reshape(pixels, shape), x.dtype), moves.stack(), by_kernel.stack()

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


def _positions(offsets: tf.Tensor, kernel_size: tuple[int, int], stride: int) -> tf.Tensor:
  """Where each tap reads: [batch, h, w, taps, 2] float32 y, x in pixels of the input map."""
  num_taps = kernel_size[0] * kernel_size[1]
  height, width = tf.unstack(tf.shape(offsets)[1:3])
  taps = tf.meshgrid(*(tf.range(size) - (size - 1) // 2 for size in kernel_size), indexing='ij')
  taps = tf.reshape(tf.stack(taps, -1), [num_taps, 2])
  centers = tf.stack(tf.meshgrid(tf.range(height), tf.range(width), indexing='ij'), -1) * stride
  grid = centers[:, :, tf.newaxis] + taps  # [h, w, taps, 2]
  shape = tf.concat([tf.shape(offsets)[:3], [num_taps, 2]], 0)
  return tf.cast(grid, tf.float32) + tf.cast(tf.reshape(offsets, shape), tf.float32)


class _Corner(NamedTuple):
  """One of the four pixels around each position.

  Attributes:
    rows: [batch, h, w] its row in the map flattened to [batch * height * width, channels].
    weights: [batch, h, w] float32 its share of the sample; 0 outside the map.
    slopes: [batch, h, w, 2] float32 derivative of the share by y and x.
  """

  rows: tf.Tensor
  weights: tf.Tensor
  slopes: tf.Tensor


def _sample(flat: tf.Tensor, corners: Sequence[_Corner]) -> tf.Tensor:
  """[batch, h, w, channels] from the pixels [batch * height * width, channels]."""
  return tf.add_n(
    [
      tf.gather(flat, corner.rows) * tf.cast(corner.weights, flat.dtype)[..., tf.newaxis]
      for corner in corners
    ]
  )


def _sample_gradient(flat, corners, upstream) -> tuple[tf.Tensor, tf.Tensor]:
  """Gradients of the pixels and of the positions [batch, h, w, 2], float32."""
  pixels, moves = [], []
  for corner in corners:
    shares = corner.weights[..., tf.newaxis] * upstream  # [batch, h, w, channels]
    pixels.append(tf.math.unsorted_segment_sum(shares, corner.rows, tf.shape(flat)[0]))
    values = tf.cast(tf.gather(flat, corner.rows), tf.float32)
    moves.append(tf.reduce_sum(values * upstream, -1, keepdims=True) * corner.slopes)
  return tf.add_n(pixels), tf.add_n(moves)


def _corners(positions: tf.Tensor, shape: tf.Tensor) -> list[_Corner]:
  """The four corners of positions [batch, h, w, 2] in a map [batch, height, width, channels]."""
  return [_corner(positions, shape, below, right) for below in (0, 1) for right in (0, 1)]


def _corner(positions: tf.Tensor, shape: tf.Tensor, below: int, right: int) -> _Corner:
  """The corner above (0) or below (1), left (0) or right (1) of positions [batch, h, w, 2]."""
  side = tf.constant([below, right], tf.float32)
  origin = tf.floor(positions)
  fraction = positions - origin
  shares = side * fraction + (1.0 - side) * (1.0 - fraction)  # [batch, h, w, 2] along y and x
  pixels, last = origin + side, tf.cast(shape[1:3] - 1, tf.float32)
  inside = tf.cast(tf.reduce_all((pixels >= 0.0) & (pixels <= last), -1), tf.float32)
  y, x = tf.unstack(tf.cast(tf.clip_by_value(pixels, 0.0, last), tf.int32), axis=-1)
  images = tf.range(shape[0])[:, tf.newaxis, tf.newaxis] * shape[1] * shape[2]
  slopes = (2.0 * side - 1.0) * shares[..., ::-1]
  return _Corner(
    images + y * shape[2] + x, tf.reduce_prod(shares, -1) * inside, slopes * inside[..., tf.newaxis]
  )
