"""Resize operations inside the network, with the sampling that the published weights need."""

from typing import TypeAlias

import numpy as np
import tensorflow as tf

from htc_tf.ops import plain

# Height and width: numbers if they are static, else a tensor [2].
Size: TypeAlias = list[int] | tf.Tensor


def spatial_size(x: tf.Tensor) -> Size:
  """Height and width of `x` [batch, h, w, channels]: a list of numbers if static, else a tensor."""
  return x.shape[1:3].as_list() if x.shape[1:3].is_fully_defined() else tf.shape(x)[1:3]


def resize_nearest(x: tf.Tensor, size: Size) -> tf.Tensor:
  """Nearest-neighbor resize of the FPN's top-down path: source = floor(target * in / out).

  Args:
    x: [batch, h, w, channels].
    size: [2] int32, target height and width.

  Returns:
    [batch, size[0], size[1], channels] of the dtype of `x`.
  """
  if plain.without_kernels():  # XLA has no kernel for the gradient of ResizeNearestNeighbor.
    height, width = tf.get_static_value(tf.convert_to_tensor(size))
    return _repeat(_repeat(x, height, 1), width, 2)
  return tf.raw_ops.ResizeNearestNeighbor(
    images=x, size=size, align_corners=False, half_pixel_centers=False
  )


def _repeat(x: tf.Tensor, size: int, axis: int) -> tf.Tensor:
  """Nearest-neighbor resize of one axis of static size."""
  old_size = x.shape[axis]
  if size % old_size == 0:
    return tf.repeat(x, size // old_size, axis=axis)
  rows = tf.floor(tf.range(size, dtype=tf.float32) * (old_size / size))
  return tf.gather(x, tf.cast(rows, tf.int32), axis=axis)


def resize_align_corners(x: tf.Tensor, size: Size) -> tf.Tensor:
  """Bilinear resize of the semantic branch, which maps corner pixels onto corner pixels.

  Args:
    x: [batch, h, w, channels].
    size: [2] int32, target height and width.

  Returns:
    [batch, size[0], size[1], channels] of the dtype of `x`, interpolated in float32.
  """
  return _resize_bilinear(x, size, align_corners=True)


def resize_half_pixel(x: tf.Tensor, size: Size) -> tf.Tensor:
  """Bilinear resize of HRFPN, which maps the borders of the map onto each other.

  Pixel centers are half a pixel inside; beyond the outermost ones, the map is constant.

  Args:
    x: [batch, h, w, channels].
    size: [2] int32, target height and width.

  Returns:
    [batch, size[0], size[1], channels] of the dtype of `x`, interpolated in float32.
  """
  return _resize_bilinear(x, size, align_corners=False)


def _resize_bilinear(x: tf.Tensor, size: Size, align_corners: bool) -> tf.Tensor:
  if plain.without_kernels():  # XLA's kernel for ResizeBilinear is a pixel off for some sizes.
    height, width = tf.get_static_value(tf.convert_to_tensor(size))
    rows = _bilinear_shares(x.shape[1], height, align_corners)
    columns = _bilinear_shares(x.shape[2], width, align_corners)
    resized = tf.einsum('yh,bhwc->bywc', rows, tf.cast(x, tf.float32))
    resized = tf.einsum('xw,bywc->byxc', columns, resized)
    return tf.cast(resized, x.dtype)
  resized = tf.raw_ops.ResizeBilinear(
    images=x, size=size, align_corners=align_corners, half_pixel_centers=not align_corners
  )
  return tf.cast(resized, x.dtype)


def _bilinear_shares(old_size: int, size: int, align_corners: bool) -> tf.Tensor:
  """Share of each old pixel in each new one: [size, old_size]."""
  if align_corners:
    positions = np.arange(size) * ((old_size - 1) / max(size - 1, 1))
  else:
    positions = np.clip((np.arange(size) + 0.5) * (old_size / size) - 0.5, 0, old_size - 1)
  shares = 1.0 - np.abs(positions[:, None] - np.arange(old_size))
  return tf.constant(np.maximum(shares, 0.0), tf.float32)
