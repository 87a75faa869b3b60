"""Detection by several models, each in one view or in several."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.multi_view import Fusion, ModelView, detect_jointly, detect_views
from htc_tf.modeling.outputs import Detections
from htc_tf.modeling.views import View, views_of
from htc_tf.ops import moved_masks, weighted_box_fusion
from htc_tf.ops.without_autograph import without_autograph

# Network inputs [batch, height, width, channels] and image_info [batch, 4, 2] at one scale, or
# those of one image.
Prepared: TypeAlias = tuple[tf.Tensor, tf.Tensor]

ROIS, DETECTIONS = LEVELS = ('rois', 'detections')


class Member(NamedTuple):
  """A model of an ensemble and its views.

  Attributes:
    model: the model.
    num_scales: number of scales at which it sees each image.
    mirrors: whether it sees every scale mirrored too.
    fusion: how the results of its views are joined.
  """

  model: HTCModel
  num_scales: int = 1
  mirrors: bool = False
  fusion: Fusion = Fusion()


class Joining(NamedTuple):
  """How the results of several models become one.

  Attributes:
    level: 'rois': the models share proposals, and scores, boxes and masks of each RoI are averaged;
      'detections': each model detects by itself, and weighted box fusion joins what they found.
    iou_threshold: IoU with the mean of a cluster above which a detection joins it; only used by
      'detections'.
  """

  level: str = ROIS
  iou_threshold: float = 0.55


AVERAGING = Joining()


def detect_members(
  members: Sequence[Member], prepared: Sequence[Prepared], joining: Joining = AVERAGING
) -> Detections:
  """Detections of all members together; of a single one, those of `detect_views`.

  At the level of RoIs, the views of all members are joined as those of one model are; see
  `multi_view.detect_jointly`. At the level of detections, `weighted_box_fusion` joins them; the
  mask of a result is the mean of the masks, weighted by the scores of the detections. If the NMS of
  the first model acts across classes, results do so too, with its threshold and by dropping.

  Args:
    members: models with the same classes; all have masks, or none has. Masks that are averaged at
      the level of RoIs have one size.
    prepared: inputs of the same images at the scales of the first member, then at those of the
      second, and so on.
    joining: how the results are joined.

  Returns:
    Detections in padded-image pixels of the first input.
  """
  views = _views(members, prepared)
  if len(members) == 1:
    return detect_views(members[0].model, views[0], members[0].fusion)
  if joining.level == ROIS:
    seen = [
      ModelView(member.model, view)
      for member, of_member in zip(members, views)
      for view in of_member
    ]
    ranges = tuple(limits for member in members for limits in member.fusion.area_ranges)
    return detect_jointly(seen, members[0].fusion._replace(area_ranges=ranges))
  found = []
  for member, of_member in zip(members, views):
    detections = detect_views(member.model, of_member, member.fusion)
    boxes = of_member[0].to_original(detections.boxes)
    found.append(detections._replace(boxes=boxes))
  rule = members[0].model.detection_generator.suppression
  across_classes = rule.iou_threshold if rule.across_groups else None
  fused = fuse_detections(found, joining.iou_threshold, across_classes)
  return fused._replace(boxes=views[0][0].from_original(fused.boxes))


def _views(members: Sequence[Member], prepared: Sequence[Prepared]) -> list[list[View]]:
  """The views of each member."""
  found, first = [], 0
  for member in members:
    after = first + member.num_scales
    found.append(views_of(prepared[first:after], member.mirrors))
    first = after
  return found


@without_autograph
def fuse_detections(
  found: Sequence[Detections], iou_threshold: float, across_classes: float | None = None
) -> Detections:
  """Weighted box fusion of the detections of several models, with masks.

  Args:
    found: detections of each model, in the same pixels.
    iou_threshold: IoU with the mean of a cluster above which a detection joins it.
    across_classes: IoU above which a result suppresses worse ones of other classes; None if classes
      do not act on each other.

  Returns:
    As many rows as the first model has, with masks of its size.
  """
  boxes, scores, classes = (tf.concat(each, 1) for each in zip(*[each[:3] for each in found]))
  max_outputs = found[0].scores.shape[1]
  fused = weighted_box_fusion.fuse(
    boxes, scores, classes, len(found), iou_threshold, max_outputs, across_classes
  )
  masks = None
  if found[0].masks is not None:
    size = found[0].masks.shape[-1]
    of_rows = tf.gather(fused.boxes, tf.maximum(fused.places, 0), batch_dims=1)
    starts = [0]
    for each in found:
      starts.append(starts[-1] + each.scores.shape[1])
    moved = [
      moved_masks.move(each.masks, each.boxes, of_rows[:, start:end], size)
      for each, start, end in zip(found, starts, starts[1:])
    ]
    masks = _weighted_means(tf.concat(moved, 1), scores, fused.places, max_outputs)
  return Detections(fused.boxes, fused.scores, fused.classes, fused.num_valid, masks)


def _weighted_means(
  masks: tf.Tensor, scores: tf.Tensor, places: tf.Tensor, max_outputs: int
) -> tf.Tensor:
  """Mean mask of each row, [batch, max_outputs, size, size], weighted by the scores.

  Args:
    masks: [batch, num_inputs, size, size].
    scores: [batch, num_inputs].
    places: [batch, num_inputs] row of each mask; -1 for masks without one.
    max_outputs: number of rows.
  """
  size = masks.shape[-1]
  weights = tf.one_hot(places, max_outputs, axis=1) * scores[:, tf.newaxis]
  weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, -1, keepdims=True))
  flat = tf.reshape(masks, [tf.shape(masks)[0], masks.shape[1], size * size])
  return tf.reshape(tf.matmul(weights, flat), [-1, max_outputs, size, size])
