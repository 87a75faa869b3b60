"""Stochastic depth: in training, residual branches are dropped at random."""

import tensorflow as tf


def drop_factors(rate: float, batch: tf.Tensor, number: int) -> tf.Tensor:
  """Random factors on residual branches (Huang et al. 2016, section 3).

  A branch is dropped for a whole image. The kept ones are scaled up, so that the mean is the branch
  without dropping.

  Args:
    rate: probability that a branch is dropped, below 1.
    batch: scalar int32, number of images.
    number: number of branches.

  Returns:
    [number, batch] float32: 0 or 1 / (1 - rate).
  """
  kept = tf.random.uniform([number, batch]) >= rate
  return tf.cast(kept, tf.float32) / (1.0 - rate)


def scale_branch(x: tf.Tensor, factors: tf.Tensor | None) -> tf.Tensor:
  """The output of a branch times the factor of each image.

  Args:
    x: [batch, height, width, channels].
    factors: [batch] float32; None if nothing is dropped.
  """
  if factors is None:
    return x
  return x * tf.cast(tf.reshape(factors, [-1, 1, 1, 1]), x.dtype)
