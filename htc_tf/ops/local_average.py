"""Averages of the neighborhood of each pixel."""

import tensorflow as tf


def local_average(x: tf.Tensor, window: int) -> tf.Tensor:
  """Averages of windows around each pixel of a map that is reflected at its border.

  The pixels at the border itself are not repeated. Maps that are too small to be reflected, which
  the published code refuses, repeat their first row or column instead.

  Args:
    x: [batch, height, width, channels].
    window: side of the windows in pixels; odd.

  Returns:
    The averages, of the shape and dtype of `x`.
  """
  shape = tf.shape(x)
  rows, columns = (tf.cast(_averaging_matrix(shape[axis], window), x.dtype) for axis in (1, 2))
  # Products of matrices are as fast as a pooling here, and their gradients need no scatter.
  averages = tf.einsum('yi,bixc->byxc', rows, x)
  averages = tf.einsum('xi,byic->byxc', columns, averages)
  return tf.ensure_shape(averages, x.shape)


def _averaging_matrix(side: tf.Tensor, window: int) -> tf.Tensor:
  """The matrix [side, side] float32 that averages along an axis of this length."""
  last = side - 1
  reach = window // 2
  positions = tf.range(side)[:, tf.newaxis] + tf.range(-reach, reach + 1)  # [side, window]
  reflected = last - tf.abs(last - tf.abs(positions))
  inside = tf.clip_by_value(reflected, 0, last)
  return tf.reduce_sum(tf.one_hot(inside, side), 1) / window  # [side, side]
