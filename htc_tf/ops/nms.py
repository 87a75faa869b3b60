"""Greedy non-maximum suppression within the groups (feature levels or classes) of each image."""

import tensorflow as tf

from htc_tf.ops import boxes as box_ops
from htc_tf.ops import placement, plain
from htc_tf.ops.kept_boxes import EXCLUDED, KeptBoxes, kept_boxes
from htc_tf.ops.soft_nms import Suppression, take_one_by_one

_MAX_LEVELS = 10


def grouped_nms(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  iou_threshold: float,
  score_threshold: float,
  max_outputs: int,
) -> KeptBoxes:
  """Best boxes over all groups after suppression of overlapping boxes within each group.

  A box is suppressed if its IoU with a better kept box of its group is above the threshold. At
  exactly the threshold it is kept, as is a box without area. Groups are separated exactly, not by
  shifting their boxes, which would cost float32 precision.

  Args:
    boxes: [batch, num, num_groups or 1, 4] yxyx; 1 if all groups share the boxes.
    scores: [batch, num, num_groups]; rows that must not take part need a score of at most
      `score_threshold`.
    iou_threshold: maximum IoU of two kept boxes of a group.
    score_threshold: only boxes with a score strictly above it take part.
    max_outputs: number of rows returned.
  """
  boxes, scores = tf.cast(boxes, tf.float32), tf.cast(scores, tf.float32)
  if not (plain.without_kernels() or placement.on_gpu()):
    kept = tf.image.combined_non_max_suppression(
      boxes,
      scores,
      max_output_size_per_class=max_outputs,
      max_total_size=max_outputs,
      iou_threshold=iou_threshold,
      score_threshold=score_threshold,
      clip_boxes=False,
    )
    return KeptBoxes(
      kept.nmsed_boxes,
      kept.nmsed_scores,
      tf.cast(kept.nmsed_classes, tf.int32),
      kept.valid_detections,
    )
  # TensorFlow alone has combined_non_max_suppression, and only for the CPU. Selecting boxes one by
  # one is fastest for few outputs (detections), suppressing all at once for many (proposals). Only
  # proposals have few groups with their own boxes, whose pairs fit into memory.
  if boxes.shape[2] == 1 or scores.shape[2] > _MAX_LEVELS:
    suppression = Suppression('hard', iou_threshold)
    return take_one_by_one(boxes, scores, suppression, score_threshold, max_outputs)
  if 0 in scores.shape:
    size = [tf.shape(scores)[0], max_outputs]
    return kept_boxes(tf.zeros([*size, 4]), tf.fill(size, EXCLUDED), tf.zeros(size, tf.int32))
  scores = tf.where(scores > score_threshold, scores, EXCLUDED)
  return _select_at_once(boxes, scores, iou_threshold, max_outputs)


def _select_at_once(
  boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> KeptBoxes:
  """Best boxes after suppression within all groups in parallel.

  Args:
    boxes: [batch, num, num_groups, 4].
    scores: [batch, num, num_groups]; `EXCLUDED` for rows that do not take part.
    iou_threshold: maximum IoU of two kept boxes of a group.
    max_outputs: number of rows returned.
  """
  num_groups = scores.shape[2]
  batch, num = (
    static if static is not None else tf.shape(scores)[axis]
    for axis, static in enumerate(scores.shape[:2])
  )
  ordered, order = tf.math.top_k(tf.transpose(scores, [0, 2, 1]), num)  # [batch, groups, num]
  boxes = tf.gather(tf.transpose(boxes, [0, 2, 1, 3]), order, batch_dims=2)
  taking_part = ordered > EXCLUDED
  better = tf.range(num)[:, None] < tf.range(num)
  suppresses = (box_ops.pairwise_iou(boxes, boxes) > iou_threshold) & better
  kept = not_suppressed(suppresses, taking_part)
  ordered = tf.reshape(tf.where(kept, ordered, EXCLUDED), [batch, num_groups * num])
  groups = tf.repeat(tf.range(num_groups), num)
  missing = tf.maximum(max_outputs - num * num_groups, 0)
  ordered = tf.pad(ordered, [[0, 0], [0, missing]], constant_values=EXCLUDED)
  best, rows = tf.math.top_k(ordered, max_outputs)
  rows = tf.minimum(rows, num * num_groups - 1)
  flat = tf.reshape(boxes, [batch, num_groups * num, 4])
  return kept_boxes(tf.gather(flat, rows, batch_dims=1), best, tf.gather(groups, rows))


def not_suppressed(suppresses: tf.Tensor, taking_part: tf.Tensor) -> tf.Tensor:
  """Which boxes are left after each one that is left has suppressed others, [..., num] bool.

  A box is kept if no better kept box suppresses it. Repeated application of this rule converges,
  beginning with the best box, to the result of the greedy algorithm (Cluster-NMS, Zheng et al.
  2021, section 3.2).

  Args:
    suppresses: [..., num, num] bool, whether the first box suppresses the second one if it is left;
      only better boxes may suppress others.
    taking_part: [..., num] bool, which boxes there are.
  """

  def apply_rule(kept: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    suppressed = tf.reduce_any(suppresses & kept[..., None], axis=-2)
    still_kept = taking_part & ~suppressed
    return still_kept, tf.reduce_any(tf.not_equal(still_kept, kept))

  kept, _ = tf.while_loop(lambda _, changed: changed, apply_rule, (taking_part, tf.constant(True)))
  return kept
