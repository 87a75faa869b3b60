"""Loss of the semantic branch (HTC, section 3.3), without its weight."""

import tensorflow as tf


def semantic_loss(
  logits: tf.Tensor, labels: tf.Tensor, ignore_label: int = 255, average_over_valid: bool = False
) -> tf.Tensor:
  """Pixelwise softmax cross entropy; labels are subsampled to the stride of the logits.

  Args:
    logits: [batch, height, width, num_classes].
    labels: [batch, padded_height, padded_width] uint8; both sides are whole multiples of those of
      the logits.
    ignore_label: label of pixels that contribute 0.
    average_over_valid: whether the mean is over the pixels that are not ignored. By default, as
      published, ignored pixels count in the mean.

  Returns:
    Scalar float32.
  """
  stride_y = tf.shape(labels)[1] // tf.shape(logits)[1]
  stride_x = tf.shape(labels)[2] // tf.shape(logits)[2]
  labels = tf.cast(labels[:, ::stride_y, ::stride_x], tf.int32)  # [batch, height, width]
  valid = tf.not_equal(labels, ignore_label)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
    labels=tf.where(valid, labels, 0), logits=tf.cast(logits, tf.float32)
  )
  counted = valid if average_over_valid else tf.ones_like(valid)
  num_counted = tf.reduce_sum(tf.cast(counted, tf.float32))
  return tf.reduce_sum(tf.where(valid, losses, 0.0)) / tf.maximum(num_counted, 1.0)
