"""Generalized IoU loss (Rezatofighi et al. 2019) of boxes."""

import tensorflow as tf

from htc_tf.ops import boxes as box_ops

_EPSILON = 1e-6  # smallest area to divide by, as in the paper's code


def giou_loss(boxes: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
  """1 - GIoU of each box and its target (algorithm 1).

  Args:
    boxes: [..., 4] yxyx.
    targets: [..., 4] yxyx in the same coordinate frame.

  Returns:
    [...] float32, from 0 for equal boxes to 2.
  """
  boxes, targets = tf.cast(boxes, tf.float32), tf.cast(targets, tf.float32)
  upper = tf.maximum(boxes[..., :2], targets[..., :2])
  lower = tf.minimum(boxes[..., 2:], targets[..., 2:])
  intersection = tf.reduce_prod(tf.nn.relu(lower - upper), axis=-1)
  areas = (tf.reduce_prod(box_ops.box_sizes(x), axis=-1) for x in (boxes, targets))
  union = tf.maximum(sum(areas) - intersection, _EPSILON)
  upper = tf.minimum(boxes[..., :2], targets[..., :2])
  lower = tf.maximum(boxes[..., 2:], targets[..., 2:])
  enclosing = tf.maximum(tf.reduce_prod(tf.nn.relu(lower - upper), axis=-1), _EPSILON)
  return 1.0 - intersection / union + (enclosing - union) / enclosing
