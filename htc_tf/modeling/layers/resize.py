"""The two resizings inside the network, as the published weights saw them."""

import tensorflow as tf


def resize_nearest(x: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Nearest-neighbour resize of the FPN's top-down path: source = floor(target * in / out).

  Args:
    x: [batch, h, w, channels].
    size: [2] int32, target height and width.

  Returns:
    [batch, size[0], size[1], channels] of the dtype of `x`.
  """
  return tf.raw_ops.ResizeNearestNeighbor(
      images=x, size=size, align_corners=False, half_pixel_centers=False)


def resize_align_corners(x: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Bilinear resize that maps corner pixels onto corner pixels (the semantic branch).

  Args:
    x: [batch, h, w, channels].
    size: [2] int32, target height and width.

  Returns:
    [batch, size[0], size[1], channels] of the dtype of `x`, interpolated in float32.
  """
  resized = tf.raw_ops.ResizeBilinear(
      images=x, size=size, align_corners=True, half_pixel_centers=False)
  return tf.cast(resized, x.dtype)
