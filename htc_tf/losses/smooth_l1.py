"""The regression loss shared by the proposal network and the stages."""

import tensorflow as tf


def smooth_l1(differences: tf.Tensor, beta: float) -> tf.Tensor:
  """Returns the elementwise smooth L1 of `differences` (Fast R-CNN, equation 3).

  It is quadratic below `beta` and continues with slope 1; beta 1 is the equation of the paper.

  Args:
    differences: of any shape and float type.
    beta: where the two parts meet; positive.

  Returns:
    The shape of `differences`, float32.
  """
  sizes = tf.abs(tf.cast(differences, tf.float32))
  return tf.where(sizes < beta, 0.5 / beta * tf.square(sizes), sizes - 0.5 * beta)
