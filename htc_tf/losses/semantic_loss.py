"""Loss of the semantic branch (HTC, section 3.3), without its weight."""

import tensorflow as tf


def semantic_loss(
  logits: tf.Tensor,
  labels: tf.Tensor,
  ignore_label: int = 255,
  average_over_valid: bool = False,
  image_sizes: tf.Tensor | None = None,
) -> tf.Tensor:
  """Pixelwise softmax cross entropy; labels are subsampled to the stride of the logits.

  Args:
    logits: [batch, height, width, num_classes].
    labels: [batch, padded_height, padded_width] uint8; both sides are whole multiples of those of
      the logits.
    ignore_label: label of pixels that contribute 0.
    average_over_valid: whether the mean is over the pixels that are not ignored. By default, as
      published, ignored pixels count in the mean.
    image_sizes: [batch, 2] height and width, in whole pixels of the labels, of the part of each map
      that counts. The loss is then the mean over the images of the mean over that part, as in a
      training with one image per device. None: the mean over all pixels of the batch.

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
  axes = None  # All images together.
  if image_sizes is not None:
    axes, limits = (1, 2), tf.cast(image_sizes, tf.int32)
    rows, columns = (
      stride_y * tf.range(tf.shape(labels)[1]),
      stride_x * tf.range(tf.shape(labels)[2]),
    )
    inside = (rows < limits[:, :1])[:, :, None] & (columns < limits[:, 1:])[:, None, :]
    counted &= inside
  num_counted = tf.reduce_sum(tf.cast(counted, tf.float32), axes)
  total = tf.reduce_sum(tf.where(valid & counted, losses, 0.0), axes)
  return tf.reduce_mean(total / tf.maximum(num_counted, 1.0))
