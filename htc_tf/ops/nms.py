"""Greedy non-maximum suppression within groups (feature levels or classes) of each image."""

from typing import NamedTuple

import tensorflow as tf


class KeptBoxes(NamedTuple):
  """What suppression left over, best score first.

  Attributes:
    boxes: [batch, max_outputs, 4] yxyx, float32; rows beyond `num_valid` are 0.
    scores: [batch, max_outputs] float32; rows beyond `num_valid` are 0.
    groups: [batch, max_outputs] int32 index of the group; rows beyond `num_valid` are 0.
    num_valid: [batch] int32.
  """
  boxes: tf.Tensor
  scores: tf.Tensor
  groups: tf.Tensor
  num_valid: tf.Tensor


def grouped_nms(boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, score_threshold: float,
                max_outputs: int) -> KeptBoxes:
  """Suppresses overlapping boxes within each group, then keeps the best over all groups.

  A box is suppressed by a better one of its group where their IoU is above the threshold; at
  exactly the threshold it stays, as does a box without area. Groups are kept apart exactly, not by
  shifting their boxes, which would cost float32 precision.

  Args:
    boxes: [batch, num, num_groups or 1, 4] yxyx; 1 where all groups share the boxes.
    scores: [batch, num, num_groups]; give rows that must not take part a score of at most
      `score_threshold`.
    iou_threshold: the largest IoU that two boxes of a group may keep.
    score_threshold: only scores strictly above take part.
    max_outputs: number of rows returned.
  """
  kept = tf.image.combined_non_max_suppression(
      tf.cast(boxes, tf.float32), tf.cast(scores, tf.float32),
      max_output_size_per_class=max_outputs, max_total_size=max_outputs,
      iou_threshold=iou_threshold, score_threshold=score_threshold, clip_boxes=False)
  return KeptBoxes(kept.nmsed_boxes, kept.nmsed_scores, tf.cast(kept.nmsed_classes, tf.int32),
                   kept.valid_detections)
