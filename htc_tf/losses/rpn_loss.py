"""Losses of the region proposal network (Faster R-CNN, equation 1), without their weights."""

import tensorflow as tf

from htc_tf.losses import smooth_l1
from htc_tf.modeling.outputs import AnchorTargets
from htc_tf.ops import boxes as box_ops

_BOX_CODER_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


def rpn_class_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Binary cross entropy over the sampled anchors.

  The sum is divided by the number of sampled anchors of the whole batch (at least 1).

  Args:
    logits: [batch, num] logits of the anchors of all levels.
    labels: [batch, num] int32; 1 positive, 0 background, -1 not sampled.

  Returns:
    Scalar float32.
  """
  losses = tf.nn.sigmoid_cross_entropy_with_logits(
    labels=tf.cast(tf.equal(labels, 1), tf.float32), logits=tf.cast(logits, tf.float32)
  )
  return tf.reduce_sum(tf.where(labels >= 0, losses, 0.0)) / _num_sampled(labels)


def rpn_box_loss(
  deltas: tf.Tensor,
  anchors: tf.Tensor,
  targets: AnchorTargets,
  beta: float = 1.0 / 9.0,
) -> tf.Tensor:
  """Smooth L1 loss of the deltas of the positive anchors.

  As in the class loss, the sum is divided by the number of sampled anchors, background included.

  Args:
    deltas: [batch, num, 4] dy, dx, dh, dw of all levels.
    anchors: [num, 4] yxyx in padded-image pixels.
    targets: labels and matched ground truth of the anchors.
    beta: size of a difference from which on smooth L1 is linear.

  Returns:
    Scalar float32.
  """
  encoded = box_ops.encode(targets.matched_boxes, anchors, _BOX_CODER_WEIGHTS)
  losses = smooth_l1.smooth_l1(tf.cast(deltas, tf.float32) - encoded, beta)
  positive = tf.equal(targets.labels, 1)[..., None]
  return tf.reduce_sum(tf.where(positive, losses, 0.0)) / _num_sampled(targets.labels)


def _num_sampled(labels: tf.Tensor) -> tf.Tensor:
  return tf.maximum(tf.reduce_sum(tf.cast(labels >= 0, tf.float32)), 1.0)
