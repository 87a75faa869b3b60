"""Greedy non-maximum suppression within the groups (feature levels or classes) of each image."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import boxes as box_ops
from htc_tf.ops import xla

# Score of rows that do not take part: below every other score.
EXCLUDED = -1e30


class KeptBoxes(NamedTuple):
  """Boxes that survive suppression, best score first.

  Attributes:
    boxes: [batch, max_outputs, 4] yxyx, float32; rows beyond `num_valid` are 0.
    scores: [batch, max_outputs] float32; rows beyond `num_valid` are 0.
    groups: [batch, max_outputs] int32 index of the group; rows beyond `num_valid` are 0.
    num_valid: [batch] int32 number of boxes.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  groups: tf.Tensor
  num_valid: tf.Tensor


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
  if not xla.compiling():
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
  if 0 in scores.shape:
    empty = tf.zeros([scores.shape[0], max_outputs])
    return kept_boxes(
      tf.zeros([*empty.shape, 4]), empty + EXCLUDED, tf.zeros(empty.shape, tf.int32)
    )
  # XLA cannot compile combined_non_max_suppression. Selecting boxes one by one is fastest for few
  # outputs (detections), suppressing all at once for many (proposals).
  scores = tf.where(scores > score_threshold, scores, EXCLUDED)
  if boxes.shape[2] == 1:
    return _select_one_by_one(boxes[:, :, 0], scores, iou_threshold, max_outputs)
  return _select_at_once(boxes, scores, iou_threshold, max_outputs)


def _select_one_by_one(
  boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> KeptBoxes:
  """Boxes kept in `max_outputs` steps; each keeps the best remaining box, which suppresses others.

  Args:
    boxes: [batch, num, 4], shared by the groups.
    scores: [batch, num, num_groups]; `EXCLUDED` for rows that do not take part.
    iou_threshold: maximum IoU of two kept boxes of a group.
    max_outputs: number of rows returned.
  """
  batch, num, num_groups = scores.shape
  iou = box_ops.pairwise_iou(boxes, boxes)  # [batch, num, num]

  def select(step, alive, rows, best_scores):
    flat = tf.reshape(alive, [batch, num * num_groups])
    best = tf.argmax(flat, axis=-1, output_type=tf.int32)  # [batch]
    score = tf.gather(flat, best, batch_dims=1)
    overlaps = tf.gather(iou, best // num_groups, batch_dims=1) > iou_threshold  # [batch, num]
    in_group = tf.equal(tf.range(num_groups), best[:, None] % num_groups)  # [batch, num_groups]
    taken = tf.equal(tf.range(num * num_groups), best[:, None])
    gone = overlaps[:, :, None] & in_group[:, None] | tf.reshape(taken, scores.shape)
    place = tf.equal(tf.range(max_outputs), step)
    return (
      step + 1,
      tf.where(gone, EXCLUDED, alive),
      tf.where(place, best[:, None], rows),
      tf.where(place, score[:, None], best_scores),
    )

  *_, rows, kept = tf.while_loop(
    lambda step, *_: step < max_outputs,
    select,
    (0, scores, tf.zeros([batch, max_outputs], tf.int32), tf.fill([batch, max_outputs], EXCLUDED)),
  )
  return kept_boxes(tf.gather(boxes, rows // num_groups, batch_dims=1), kept, rows % num_groups)


def _select_at_once(
  boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> KeptBoxes:
  """Best boxes after suppression within all groups in parallel.

  A box is kept if no better kept box overlaps it. Repeated application of this rule converges,
  beginning with the best box, to the result of the greedy algorithm (Cluster-NMS, Zheng et al.
  2021, section 3.2).

  Args:
    boxes: [batch, num, num_groups, 4].
    scores: [batch, num, num_groups]; `EXCLUDED` for rows that do not take part.
    iou_threshold: maximum IoU of two kept boxes of a group.
    max_outputs: number of rows returned.
  """
  batch, num, num_groups = scores.shape
  ordered, order = tf.math.top_k(tf.transpose(scores, [0, 2, 1]), num)  # [batch, groups, num]
  boxes = tf.gather(tf.transpose(boxes, [0, 2, 1, 3]), order, batch_dims=2)
  taking_part = ordered > EXCLUDED
  better = tf.range(num)[:, None] < tf.range(num)
  suppresses = (box_ops.pairwise_iou(boxes, boxes) > iou_threshold) & better

  def apply_rule(kept: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    suppressed = tf.reduce_any(suppresses & kept[..., None], axis=-2)
    still_kept = taking_part & ~suppressed
    return still_kept, tf.reduce_any(tf.not_equal(still_kept, kept))

  kept, _ = tf.while_loop(lambda _, changed: changed, apply_rule, (taking_part, tf.constant(True)))
  ordered = tf.reshape(tf.where(kept, ordered, EXCLUDED), [batch, num_groups * num])
  groups = tf.repeat(tf.range(num_groups), num)
  missing = max(max_outputs - num * num_groups, 0)
  ordered = tf.pad(ordered, [[0, 0], [0, missing]], constant_values=EXCLUDED)
  best, rows = tf.math.top_k(ordered, max_outputs)
  rows = tf.minimum(rows, num * num_groups - 1)
  flat = tf.reshape(boxes, [batch, num_groups * num, 4])
  return kept_boxes(tf.gather(flat, rows, batch_dims=1), best, tf.gather(groups, rows))


def kept_boxes(boxes: tf.Tensor, scores: tf.Tensor, groups: tf.Tensor) -> KeptBoxes:
  """The rows, with zeros where the score is `EXCLUDED`.

  Args:
    boxes: [batch, max_outputs, 4].
    scores: [batch, max_outputs].
    groups: [batch, max_outputs] int32.
  """
  valid = scores > EXCLUDED  # [batch, max_outputs]
  return KeptBoxes(
    tf.where(valid[..., None], boxes, 0.0),
    tf.where(valid, scores, 0.0),
    tf.where(valid, groups, 0),
    tf.reduce_sum(tf.cast(valid, tf.int32), axis=-1),
  )
