"""Non-maximum suppression that takes one box at a time: soft, or across groups.

Soft-NMS (Bodla et al. 2017, section 3) lowers the scores of boxes that overlap a taken one instead
of dropping these boxes. Its rules are those of mmcv, which mmdetection uses.
"""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import boxes as box_ops
from htc_tf.ops.kept_boxes import EXCLUDED, KeptBoxes, kept_boxes


class Suppression(NamedTuple):
  """What a taken box does to the others.

  Attributes:
    method: 'hard' drops boxes whose IoU with it is above `iou_threshold`; 'linear' multiplies their
      scores by 1 - IoU from `iou_threshold` on; 'gaussian' multiplies all scores by
      exp(-IoU^2 / sigma).
    iou_threshold: as above.
    sigma: as above.
    min_score: boxes with a lower score leave after each taken box; not used by 'hard'.
    across_groups: whether a box acts on the boxes of all groups, not only on those of its own.
  """

  method: str
  iou_threshold: float
  sigma: float = 0.5
  min_score: float = 0.001
  across_groups: bool = False


def take_one_by_one(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  suppression: Suppression,
  score_threshold: float,
  max_outputs: int,
) -> KeptBoxes:
  """The boxes that are taken, always the one with the largest score left.

  Of equal scores, the first box is taken, and of its groups the first one. Groups are separated
  exactly, where mmcv shifts their boxes, which costs float32 precision.

  Args:
    boxes: [batch, num, num_groups or 1, 4] yxyx; 1 if all groups share the boxes.
    scores: [batch, num, num_groups]; rows that must not take part need a score of at most
      `score_threshold`.
    suppression: what a taken box does to the others.
    score_threshold: only boxes with a score strictly above it take part.
    max_outputs: number of rows returned.

  Returns:
    The taken boxes with the scores that they had then, which fall from row to row.
  """
  boxes, scores = tf.cast(boxes, tf.float32), tf.cast(scores, tf.float32)
  num_groups = scores.shape[2]
  batch, num_pairs = tf.shape(scores)[0], tf.shape(scores)[1] * num_groups

  def take(step: tf.Tensor, left: tf.Tensor, rows: tf.Tensor, found: tf.Tensor) -> tuple:
    flat = tf.reshape(left, [batch, num_pairs])
    best = tf.argmax(flat, axis=-1, output_type=tf.int32)  # [batch]
    iou = _iou_with(boxes, best, num_groups)  # [batch, num, num_groups or 1]
    groups = best % num_groups
    acts = tf.equal(tf.range(num_groups), groups[:, None])[:, None] | suppression.across_groups
    taken = tf.reshape(tf.equal(tf.range(num_pairs), best[:, None]), tf.shape(left))
    after = tf.where(acts, _lowered(left, iou, suppression), left)
    # A weight of 0 would bring an excluded box back.
    after = tf.where(taken | (left <= EXCLUDED), EXCLUDED, after)
    if suppression.method != 'hard':
      after = tf.where(after < suppression.min_score, EXCLUDED, after)
    place = tf.equal(tf.range(max_outputs), step)
    score = tf.gather(flat, best, batch_dims=1)
    changed = (after, tf.where(place, best[:, None], rows), tf.where(place, score[:, None], found))
    # The loop keeps the static shapes, which XLA needs.
    return step + 1, *map(tf.ensure_shape, changed, (left.shape, rows.shape, found.shape))

  def goes_on(step: tf.Tensor, left: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
    return (step < max_outputs) & tf.reduce_any(left > EXCLUDED)

  start = (
    0,
    tf.where(scores > score_threshold, scores, EXCLUDED),
    tf.zeros([batch, max_outputs], tf.int32),
    tf.fill([batch, max_outputs], EXCLUDED),
  )
  if 0 in scores.shape:
    return kept_boxes(tf.zeros([batch, max_outputs, 4]), start[3], start[2])
  *_, rows, found = tf.while_loop(goes_on, take, start)
  return kept_boxes(_rows_of(boxes, rows, num_groups), found, rows % num_groups)


def _lowered(scores: tf.Tensor, iou: tf.Tensor, suppression: Suppression) -> tf.Tensor:
  """Scores [batch, num, num_groups] after a box with the IoUs [batch, num, num_groups or 1]."""
  if suppression.method == 'hard':
    return tf.where(iou > suppression.iou_threshold, EXCLUDED, scores)
  if suppression.method == 'linear':
    return tf.where(iou >= suppression.iou_threshold, scores * (1.0 - iou), scores)
  return scores * tf.exp(-(iou * iou) / suppression.sigma)


def _rows_of(boxes: tf.Tensor, rows: tf.Tensor, num_groups: int) -> tf.Tensor:
  """The boxes [batch, num_rows, 4] of pairs of a box and a group, [batch, num_rows] int32."""
  of_box = tf.gather(boxes, rows // num_groups, batch_dims=1)  # [batch, num_rows, groups or 1, 4]
  if boxes.shape[2] == 1:
    return of_box[:, :, 0]
  return tf.gather(of_box, rows % num_groups, batch_dims=2)


def _iou_with(boxes: tf.Tensor, best: tf.Tensor, num_groups: int) -> tf.Tensor:
  """IoU [batch, num, num_groups or 1] of all boxes with the one of a pair, [batch] int32."""
  one = _rows_of(boxes, best[:, None], num_groups)[:, :, None]  # [batch, 1, 1, 4]
  return box_ops.pairwise_iou(boxes, one)[..., 0]
