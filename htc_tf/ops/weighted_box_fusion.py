"""Weighted box fusion: detections of several sources that overlap become their weighted mean.

Solovyev, Wang and Gabruseva 2021, "Weighted boxes fusion: Ensembling boxes from different object
detection models", section 3.
"""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import boxes as box_ops
from htc_tf.ops import nms


class FusedBoxes(NamedTuple):
  """Boxes after fusion, best score first; rows from `num_valid` on are 0.

  Attributes:
    boxes: [batch, max_outputs, 4] float32 yxyx; means of the boxes of a cluster, weighted by their
      scores.
    scores: [batch, max_outputs] float32; mean score of the cluster, times min(size of the cluster,
      number of sources) / number of sources.
    classes: [batch, max_outputs] int32.
    num_valid: [batch] int32 number of boxes.
    places: [batch, num_inputs] int32 row of the cluster of each input; -1 if it has none here.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  classes: tf.Tensor
  num_valid: tf.Tensor
  places: tf.Tensor


class _Clusters(NamedTuple):
  """Clusters, one per row, as sums over their members; rows without one are 0.

  Attributes:
    boxes: [batch, num, 4] float32 sums of boxes, weighted by scores.
    scores: [batch, num] float32 sums of scores.
    classes: [batch, num] int32.
    sizes: [batch, num] float32 numbers of members.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  classes: tf.Tensor
  sizes: tf.Tensor


def fuse(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  classes: tf.Tensor,
  num_sources: int,
  iou_threshold: float,
  max_outputs: int,
  across_classes: float | None = None,
) -> FusedBoxes:
  """The fused boxes of all sources.

  Boxes are taken by falling score. Each joins the cluster of its class whose mean box has the
  largest IoU with it, if that is above the threshold, and otherwise begins a cluster.

  Args:
    boxes: [batch, num_inputs, 4] float32 yxyx, those of all sources; `num_inputs` is static.
    scores: [batch, num_inputs] float32, above 0 in rows with a detection.
    classes: [batch, num_inputs] int32, 1 or more; 0 in rows without a detection.
    num_sources: number of sources.
    iou_threshold: as above.
    max_outputs: number of rows returned.
    across_classes: IoU above which a fused box suppresses those of other classes with lower scores;
      None if classes do not act on each other. This is not part of the paper.
  """
  order = tf.argsort(tf.where(classes > 0, scores, 0.0), direction='DESCENDING', stable=True)
  in_order = [tf.gather(each, order, batch_dims=1) for each in (boxes, scores, classes)]
  clusters, of_sorted = _clusters(in_order[0], in_order[1], in_order[2], iou_threshold)
  shares = tf.minimum(clusters.sizes, num_sources) / num_sources
  means = tf.math.divide_no_nan(clusters.boxes, clusters.scores[..., tf.newaxis])
  fused_scores = tf.math.divide_no_nan(clusters.scores, clusters.sizes) * shares
  if across_classes is not None:
    kept = _kept_across_classes(means, fused_scores, clusters.classes, across_classes)
    fused_scores = tf.where(kept, fused_scores, 0.0)
    means = tf.where(kept[..., tf.newaxis], means, 0.0)
    clusters = clusters._replace(classes=tf.where(kept, clusters.classes, 0))
  missing = [[0, 0], [0, max(max_outputs - scores.shape[1], 0)]]
  best, rows = tf.math.top_k(tf.pad(fused_scores, missing), max_outputs)
  is_there = best > 0
  of_cluster = tf.gather(of_sorted, tf.argsort(order), batch_dims=1)  # [batch, num_inputs]
  is_here = is_there[..., tf.newaxis] & tf.equal(rows[..., tf.newaxis], of_cluster[:, tf.newaxis])
  places = tf.argmax(tf.cast(is_here, tf.float32), axis=1, output_type=tf.int32)
  return FusedBoxes(
    tf.gather(tf.pad(means, [*missing, [0, 0]]), rows, batch_dims=1),
    best,
    tf.gather(tf.pad(clusters.classes, missing), rows, batch_dims=1),
    tf.reduce_sum(tf.cast(is_there, tf.int32), -1),
    tf.where(tf.reduce_any(is_here, 1), places, -1),
  )


def _kept_across_classes(
  boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor, iou_threshold: float
) -> tf.Tensor:
  """Which fused boxes no better one of another class suppresses, [batch, num] bool.

  Of equal scores, the first one is the better one.

  Args:
    boxes: [batch, num, 4] yxyx.
    scores: [batch, num] scores; 0 in rows without a box.
    classes: [batch, num] classes.
    iou_threshold: IoU above which a box suppresses a worse one.
  """
  rows = tf.range(tf.shape(scores)[1])
  first, second = scores[..., tf.newaxis], scores[:, tf.newaxis]
  better = (first > second) | (tf.equal(first, second) & (rows[:, tf.newaxis] < rows))
  others = tf.not_equal(classes[..., tf.newaxis], classes[:, tf.newaxis])
  overlaps = box_ops.pairwise_iou(boxes, boxes) > iou_threshold
  return nms.not_suppressed(better & others & overlaps, scores > 0)


def _clusters(
  boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor, iou_threshold: float
) -> tuple[_Clusters, tf.Tensor]:
  """Clusters of boxes that come by falling score, and the cluster of each, [batch, num].

  The cluster of a row without a detection is -1.
  """
  batch, num = tf.shape(scores)[0], scores.shape[1]

  def join(step: tf.Tensor, found: _Clusters, of_each: tf.Tensor) -> tuple:
    box, score, label = boxes[:, step], scores[:, step], classes[:, step, tf.newaxis]
    means = tf.math.divide_no_nan(found.boxes, found.scores[..., tf.newaxis])
    iou = box_ops.pairwise_iou(means, box[:, tf.newaxis])[..., 0]  # [batch, num]
    iou = tf.where(found.classes == label, iou, -1.0)
    num_so_far = tf.reduce_sum(tf.cast(found.classes > 0, tf.int32), -1)
    joins = tf.reduce_max(iou, -1) > iou_threshold
    nearest = tf.argmax(iou, axis=-1, output_type=tf.int32)
    cluster = tf.where(joins, nearest, num_so_far)[:, tf.newaxis]
    is_there = label > 0  # [batch, 1]
    here = tf.equal(tf.range(num), cluster) & is_there  # [batch, num]
    weight = tf.where(here, score[:, tf.newaxis], 0.0)
    changed = _Clusters(
      found.boxes + weight[..., tf.newaxis] * box[:, tf.newaxis],
      found.scores + weight,
      tf.where(here, label, found.classes),
      found.sizes + tf.cast(here, tf.float32),
    )
    own = tf.equal(tf.range(num), step) & is_there
    return step + 1, changed, tf.where(own, cluster, of_each)

  def goes_on(step: tf.Tensor, *_: object) -> tf.Tensor:
    return step < tf.reduce_max(tf.reduce_sum(tf.cast(classes > 0, tf.int32), -1))

  zeros = tf.zeros([batch, num])
  labels = tf.zeros([batch, num], tf.int32)
  start = _Clusters(tf.zeros([batch, num, 4]), zeros, labels, zeros)
  _, clusters, of_each = tf.while_loop(goes_on, join, (0, start, labels - 1))
  return clusters, of_each
