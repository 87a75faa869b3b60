"""Loss of the global context branch, without its weight."""

import tensorflow as tf


def context_loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
  """Binary cross entropy of the classes that an image has (SCNet, Vu et al. 2021, section 3.3).

  Args:
    logits: [batch, num_classes - 1], class 1 first.
    classes: [batch, num_instances] int32 classes of the objects, 1..num_classes-1; padding rows
      are -1.

  Returns:
    Scalar float32, the mean over images and classes.
  """
  # Padding rows have no place in the one-hot rows.
  present = tf.reduce_max(tf.one_hot(classes - 1, logits.shape[-1]), axis=1)
  present = tf.maximum(present, 0.0)  # The maximum over no object is the lowest number.
  losses = tf.nn.sigmoid_cross_entropy_with_logits(present, tf.cast(logits, tf.float32))
  return tf.reduce_mean(losses)
