"""Greedy non-maximum suppression within groups (feature levels or classes) of each image."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import boxes as box_ops
from htc_tf.ops import xla

# Below every score.
_NEVER = -1e30


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


def grouped_nms(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  iou_threshold: float,
  score_threshold: float,
  max_outputs: int,
) -> KeptBoxes:
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
    return _kept(tf.zeros([*empty.shape, 4]), empty + _NEVER, tf.zeros(empty.shape, tf.int32))
  # That kernel does not compile. Few outputs are found fastest one after the other, many at once.
  scores = tf.where(scores > score_threshold, scores, _NEVER)
  if boxes.shape[2] == 1:
    return _select_in_turn(boxes[:, :, 0], scores, iou_threshold, max_outputs)
  return _select_at_once(boxes, scores, iou_threshold, max_outputs)


def _select_in_turn(
  boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> KeptBoxes:
  """Takes the best score over all groups and suppresses what overlaps, `max_outputs` times.

  Args:
    boxes: [batch, num, 4], shared by the groups.
    scores: [batch, num, num_groups]; `_NEVER` for rows that do not take part.
    iou_threshold: as for `grouped_nms`.
    max_outputs: likewise.
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
      tf.where(gone, _NEVER, alive),
      tf.where(place, best[:, None], rows),
      tf.where(place, score[:, None], best_scores),
    )

  *_, rows, kept = tf.while_loop(
    lambda step, *_: step < max_outputs,
    select,
    (0, scores, tf.zeros([batch, max_outputs], tf.int32), tf.fill([batch, max_outputs], _NEVER)),
  )
  return _kept(tf.gather(boxes, rows // num_groups, batch_dims=1), kept, rows % num_groups)


def _select_at_once(
  boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> KeptBoxes:
  """Suppresses within all groups in parallel, then takes the best.

  A box stays if no better one that stays overlaps it. Applied over and over, this rule settles from
  the best box on; what it settles at is the result of the greedy algorithm (Cluster-NMS, Zheng et
  al. 2021, section 3.2).

  Args:
    boxes: [batch, num, num_groups, 4].
    scores: [batch, num, num_groups]; `_NEVER` for rows that do not take part.
    iou_threshold: as for `grouped_nms`.
    max_outputs: likewise.
  """
  batch, num, num_groups = scores.shape
  ordered, order = tf.math.top_k(tf.transpose(scores, [0, 2, 1]), num)  # [batch, groups, num]
  boxes = tf.gather(tf.transpose(boxes, [0, 2, 1, 3]), order, batch_dims=2)
  taking_part = ordered > _NEVER
  better = tf.range(num)[:, None] < tf.range(num)
  suppresses = (box_ops.pairwise_iou(boxes, boxes) > iou_threshold) & better

  def settle(kept, _):
    suppressed = tf.reduce_any(suppresses & kept[..., None], axis=-2)
    settled = taking_part & ~suppressed
    return settled, tf.reduce_any(tf.not_equal(settled, kept))

  kept, _ = tf.while_loop(lambda _, changed: changed, settle, (taking_part, tf.constant(True)))
  ordered = tf.reshape(tf.where(kept, ordered, _NEVER), [batch, num_groups * num])
  groups = tf.repeat(tf.range(num_groups), num)
  missing = max(max_outputs - num * num_groups, 0)
  ordered = tf.pad(ordered, [[0, 0], [0, missing]], constant_values=_NEVER)
  best, rows = tf.math.top_k(ordered, max_outputs)
  rows = tf.minimum(rows, num * num_groups - 1)
  flat = tf.reshape(boxes, [batch, num_groups * num, 4])
  return _kept(tf.gather(flat, rows, batch_dims=1), best, tf.gather(groups, rows))


def _kept(boxes: tf.Tensor, scores: tf.Tensor, groups: tf.Tensor) -> KeptBoxes:
  """Empties the rows whose score is `_NEVER`."""
  valid = scores > _NEVER  # [batch, max_outputs]
  return KeptBoxes(
    tf.where(valid[..., None], boxes, 0.0),
    tf.where(valid, scores, 0.0),
    tf.where(valid, groups, 0),
    tf.reduce_sum(tf.cast(valid, tf.int32), axis=-1),
  )
