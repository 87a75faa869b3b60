"""Regression loss of the region proposal network and of the stages."""

import tensorflow as tf


def smooth_l1(differences: tf.Tensor, beta: float) -> tf.Tensor:
  """Elementwise smooth L1 loss of `differences` (Fast R-CNN, equation 3).

  It is quadratic below `beta` and continues with slope 1; beta 1 is the equation of the paper, and
  beta 0 is the L1 loss.

  Args:
    differences: tensor of any shape and float dtype.
    beta: size of a difference at which the quadratic part ends; 0 or more.

  Returns:
    Losses in the shape of `differences`, float32.
  """
  sizes = tf.abs(tf.cast(differences, tf.float32))
  if not beta:
    return sizes
  return tf.where(sizes < beta, 0.5 / beta * tf.square(sizes), sizes - 0.5 * beta)
