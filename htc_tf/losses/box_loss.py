"""Losses of a stage's box head (Cascade R-CNN, equations 1 to 3), without their weights."""

from collections.abc import Sequence

import tensorflow as tf

from htc_tf.losses import smooth_l1
from htc_tf.losses.giou import giou_loss
from htc_tf.modeling.outputs import SampledRois
from htc_tf.ops import boxes as box_ops


def class_loss(logits: tf.Tensor, classes: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
  """Softmax cross entropy, averaged over the valid RoIs of the batch.

  Args:
    logits: [batch, num_rois, num_classes], background at index 0.
    classes: [batch, num_rois] int32, 0 for background and in padding rows.
    valid: [batch, num_rois] bool, False in padding rows.

  Returns:
    Scalar float32; 0 without a valid RoI.
  """
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
    labels=classes, logits=tf.cast(logits, tf.float32)
  )
  return _sum_where(valid, losses) / _num_true(valid)


def box_loss(
  deltas: tf.Tensor,
  rois: SampledRois,
  box_coder_weights: Sequence[float],
  beta: float = 1.0,
) -> tf.Tensor:
  """Smooth L1 loss of the deltas, summed over the positives of the batch.

  As published, the sum is divided by the number of all valid RoIs, background included.

  Args:
    deltas: [batch, num_rois, 4] dy, dx, dh, dw, class-agnostic or of the class of the object.
    rois: sampled RoIs and their ground truth.
    box_coder_weights: four factors of the stage's box coder on dy, dx, dh, dw.
    beta: size of a difference from which on smooth L1 is linear.

  Returns:
    Scalar float32; 0 without a positive.
  """
  encoded = box_ops.encode(rois.matched_boxes, rois.boxes, box_coder_weights)
  # Padding rows have no extent, so their encoding is not finite; it must not reach a gradient.
  targets = tf.where(rois.positive[..., None], encoded, 0.0)
  losses = smooth_l1.smooth_l1(tf.cast(deltas, tf.float32) - targets, beta)
  return _sum_where(rois.positive[..., None], losses) / _num_true(rois.valid)


def decoded_box_loss(
  deltas: tf.Tensor, rois: SampledRois, box_coder_weights: Sequence[float]
) -> tf.Tensor:
  """Generalized IoU loss of the decoded boxes, summed over the positives of the batch.

  As published, the sum is divided by the number of all valid RoIs, and the boxes are not clipped.

  Args:
    deltas: [batch, num_rois, 4] dy, dx, dh, dw, class-agnostic or of the class of the object.
    rois: sampled RoIs and their ground truth.
    box_coder_weights: four factors of the stage's box coder on dy, dx, dh, dw.

  Returns:
    Scalar float32; 0 without a positive.
  """
  losses = giou_loss(box_ops.decode(deltas, rois.boxes, box_coder_weights), rois.matched_boxes)
  return _sum_where(rois.positive, losses) / _num_true(rois.valid)


def accuracy(logits: tf.Tensor, classes: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
  """Share, 0 to 1, of the valid RoIs whose class has the largest logit.

  Args:
    logits: [batch, num_rois, num_classes].
    classes: [batch, num_rois] int32.
    valid: [batch, num_rois] bool, False in padding rows.

  Returns:
    Scalar float32; 0 without a valid RoI.
  """
  correct = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), classes)
  return _sum_where(valid, tf.cast(correct, tf.float32)) / _num_true(valid)


def _sum_where(mask: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.where(mask, losses, 0.0))


def _num_true(mask: tf.Tensor) -> tf.Tensor:
  return tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32)), 1.0)
