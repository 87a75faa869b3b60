"""Detection in several views of the same images, and by several models that share proposals."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.errors import InputError
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import Detections, ImageFeatures, Proposals
from htc_tf.modeling.views import View
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import nms
from htc_tf.ops.without_autograph import without_autograph


class Fusion(NamedTuple):
  """How the results of views become one.

  Attributes:
    nms_threshold: IoU above which NMS drops one of two proposals of different views.
    num_proposals: number of proposals that all views together keep.
    area_ranges: for each view, the sides of the smallest and of the largest square, in original
      pixels, whose areas bound those of its detections; empty if every view sees all objects.
  """

  nms_threshold: float = 0.7
  num_proposals: int = 1000
  area_ranges: tuple[tuple[float, float], ...] = ()


class ModelView(NamedTuple):
  """A view of a batch, and the model that looks at it."""

  model: HTCModel
  view: View


class _Scored(NamedTuple):
  """RoIs after the cascade, in original pixels.

  Attributes:
    probs: [batch, num, num_classes].
    boxes: [batch, num, 1 or num_classes - 1, 4]; 1 if the classes share the boxes.
    valid: [batch, num] bool.
  """

  probs: tf.Tensor
  boxes: tf.Tensor
  valid: tf.Tensor


def detect_views(model: HTCModel, views: Sequence[View], fusion: Fusion) -> Detections:
  """Detections of one model in several views; see `detect_jointly`.

  Args:
    model: the model.
    views: the views; each holds the same images in the same order.
    fusion: how results are joined.
  """
  return detect_jointly([ModelView(model, view) for view in views], fusion)


@without_autograph
def detect_jointly(seen: Sequence[ModelView], fusion: Fusion) -> Detections:
  """Detections in views of a batch; of one view, those of `HTCModel.detect`.

  Without area ranges, this is the rule of mmdetection 2.x for HTC: the proposals of all views are
  joined; each view refines and scores all of them in its own features; boxes and scores are
  averaged over the views.

  With area ranges it is the rule of ViT-Adapter (Chen et al. 2023): each view refines and scores
  its own proposals; boxes whose area in the original image is outside the range of their view are
  dropped (the lower limit belongs to the range below); what is left of all views is joined.

  In both cases NMS follows, and the masks of the detections are averaged over views and stages,
  after masks of mirrored views are mirrored back. Views of several models are treated as those of
  one model are; NMS is that of the first one.

  Args:
    seen: the views, which hold the same images in the same order, and the model of each; models
      have the same classes, and all have masks of one size, or none has.
    fusion: how results are joined.

  Returns:
    Detections in padded-image pixels of the first view, which must not be mirrored.

  Raises:
    InputError: there is no view, the first one is mirrored, or the ranges are not one per view.
  """
  _check(seen, fusion)
  first_model, first_view = seen[0]
  if len(seen) == 1 and not fusion.area_ranges:
    return first_model.detect(first_view.inputs)
  features = [model.extract(view.inputs, training=False)[0] for model, view in seen]
  proposals = [
    model.propose(of_view, training=False).proposals for (model, _), of_view in zip(seen, features)
  ]
  features = [of_view.with_pooling_table() for of_view in features]
  if fusion.area_ranges:
    scored = _joined(seen, features, proposals, fusion.area_ranges)
  else:
    scored = _averaged(seen, features, _merged_proposals(seen, proposals, fusion))
  found = first_model.detection_generator.select(scored.probs, scored.boxes, scored.valid)
  reference = found._replace(boxes=first_view.from_original(found.boxes))
  if not first_model.cascade.has_masks:
    return reference
  masks = _masks(seen, features, found)
  rows = tf.sequence_mask(found.num_detections, tf.shape(masks)[1])
  return reference._replace(masks=tf.where(rows[..., tf.newaxis, tf.newaxis], masks, 0.0))


def _check(seen: Sequence[ModelView], fusion: Fusion) -> None:
  mirrored = [view.is_mirrored for _, view in seen]
  if not seen or mirrored[0]:
    raise InputError(
      'The views cannot be used',
      expected='one view or more, the first one not mirrored',
      got=f'{len(seen)} views, mirrored: {mirrored}',
      likely_cause='another order: detections are in the pixels of the first view',
    )
  if fusion.area_ranges and len(fusion.area_ranges) != len(seen):
    raise InputError(
      'The area ranges do not fit the views',
      expected=f'{len(seen)} ranges, one for each view',
      got=f'{len(fusion.area_ranges)} ranges',
      likely_cause='ranges of scales, where each mirrored view needs one too',
    )


def _merged_proposals(
  seen: Sequence[ModelView], proposals: Sequence[Proposals], fusion: Fusion
) -> Proposals:
  """The best proposals of all views, in original pixels."""
  boxes = [view.to_original(found.boxes) for (_, view), found in zip(seen, proposals)]
  # Padding rows have the score 0, which is not above the threshold.
  scores = [tf.where(found.valid, found.scores, 0.0) for found in proposals]
  kept = nms.grouped_nms(
    tf.concat(boxes, 1)[:, :, tf.newaxis],
    tf.concat(scores, 1)[..., tf.newaxis],
    fusion.nms_threshold,
    0.0,
    fusion.num_proposals,
  )
  valid = tf.sequence_mask(kept.num_valid, fusion.num_proposals)
  return Proposals(kept.boxes, kept.scores, valid)


def _scored_in(seen: ModelView, features: ImageFeatures, proposals: Proposals) -> _Scored:
  """RoIs of a view after its cascade; the proposals are in pixels of the view."""
  logits, boxes = seen.model.cascade.classify(features, proposals)
  probs = tf.nn.softmax(tf.cast(logits, tf.float32))
  # Views of models of both kinds can be averaged, because the axis of classes is always there.
  boxes = boxes if boxes.shape.rank == 4 else boxes[:, :, tf.newaxis]
  return _Scored(probs, seen.view.to_original(boxes), proposals.valid)


def _averaged(
  seen: Sequence[ModelView], features: Sequence[ImageFeatures], shared: Proposals
) -> _Scored:
  """Means over the views of the same proposals."""
  found = []
  for each, of_view in zip(seen, features):
    boxes = tf.where(shared.valid[..., tf.newaxis], each.view.from_original(shared.boxes), -1.0)
    found.append(_scored_in(each, of_view, shared._replace(boxes=boxes)))
  number = len(found)
  boxes = sum(scored.boxes for scored in found) / number
  return _Scored(
    tf.add_n([scored.probs for scored in found]) / number,
    tf.where(box_ops.expand_like(shared.valid, boxes), boxes, -1.0),
    shared.valid,
  )


def _joined(
  seen: Sequence[ModelView],
  features: Sequence[ImageFeatures],
  proposals: Sequence[Proposals],
  area_ranges: Sequence[tuple[float, float]],
) -> _Scored:
  """The RoIs of all views, each valid if its area is in the range of its view.

  With a box for each class, the area is that of the most probable foreground class.
  """
  found = []
  for each, of_view, of_rpn, (low, high) in zip(seen, features, proposals, area_ranges):
    scored = _scored_in(each, of_view, of_rpn)
    areas = _likely_areas(scored)
    in_range = (areas > low**2) & (areas <= high**2)
    found.append(scored._replace(valid=scored.valid & in_range))
  num_boxes = max(scored.boxes.shape[2] for scored in found)
  found = [scored._replace(boxes=_repeated(scored.boxes, num_boxes)) for scored in found]
  return _Scored(*(tf.concat(values, 1) for values in zip(*found)))


def _likely_areas(scored: _Scored) -> tf.Tensor:
  """Area [batch, num] of the box of the most probable foreground class."""
  areas = box_ops.area(scored.boxes)  # [batch, num, 1 or num_classes - 1]
  if areas.shape[2] == 1:
    return areas[..., 0]
  rows = tf.argmax(scored.probs[..., 1:], axis=-1, output_type=tf.int32)
  return tf.gather(areas, rows, batch_dims=2)


def _repeated(boxes: tf.Tensor, num_boxes: int) -> tf.Tensor:
  """Boxes [batch, num, 1 or num_boxes, 4] as [batch, num, num_boxes, 4]."""
  return boxes if boxes.shape[2] == num_boxes else tf.repeat(boxes, num_boxes, axis=2)


def _masks(
  seen: Sequence[ModelView], features: Sequence[ImageFeatures], found: Detections
) -> tf.Tensor:
  """Mean mask probabilities of detections in original pixels, [batch, num, size, size]."""
  masks = []
  for (model, view), of_view in zip(seen, features):
    of_boxes = model.cascade.segment(of_view, view.from_original(found.boxes), found.classes)
    masks.append(of_boxes[..., ::-1] if view.is_mirrored else of_boxes)
  return tf.add_n(masks) / len(masks)
