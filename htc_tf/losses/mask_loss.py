"""Loss of a stage's mask head (Mask R-CNN, section 3), without its weight."""

import tensorflow as tf


def mask_loss(logits: tf.Tensor, targets: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
  """Binary cross entropy, averaged over the pixels of the valid RoIs of the batch.

  Args:
    logits: [batch, num_rois, height, width] for the ground-truth class of each RoI.
    targets: [batch, num_rois, height, width] 0 or 1.
    valid: [batch, num_rois] bool, True for positives.

  Returns:
    Scalar float32; 0 without a valid RoI.
  """
  losses = tf.nn.sigmoid_cross_entropy_with_logits(
    labels=tf.cast(targets, tf.float32), logits=tf.cast(logits, tf.float32)
  )
  means = tf.reduce_mean(losses, axis=[2, 3])  # [batch, num_rois]
  num_valid = tf.reduce_sum(tf.cast(valid, tf.float32))
  return tf.reduce_sum(tf.where(valid, means, 0.0)) / tf.maximum(num_valid, 1.0)
