"""Sizes of images after padding."""

import tensorflow as tf


def padded_alone(image_shape: tf.Tensor, size_divisor: int = 32) -> tf.Tensor:
  """Sizes of images that are padded to multiples of a number, each one alone, as published.

  The padding of an image to the other sizes of its batch does not count.

  Args:
    image_shape: [batch, 2] height and width before padding.
    size_divisor: number that height and width are rounded up to a multiple of.

  Returns:
    [batch, 2] float32.
  """
  return size_divisor * tf.math.ceil(tf.cast(image_shape, tf.float32) / size_divisor)
