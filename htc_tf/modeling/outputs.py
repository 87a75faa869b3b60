"""What the stages and the model return, and what they pass to each other."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from htc_tf.ops import roi_pooling
from htc_tf.ops.gradient_order import backward_in_turn


class ImageFeatures(NamedTuple):
  """What every stage reads of a batch of images.

  Attributes:
    pyramid: {'2': [batch, h, w, channels], ...} by level.
    semantic: [batch, h, w, channels] embedding of the semantic branch, or None without it.
    image_shape: [batch, 2] height, width of the image inside the padded frame, in pixels.
    table: pyramid and embedding laid out for pooling RoIs, once for all stages; None: each pooling
      lays them out for itself.
  """

  pyramid: Mapping[str, tf.Tensor]
  semantic: tf.Tensor | None
  image_shape: tf.Tensor
  table: roi_pooling.FeatureTable | None = None

  def with_table(self) -> 'ImageFeatures':
    """The same with the table, in which the embedding is called 'semantic'."""
    if self.table is not None:
      return self
    maps = {level: self.pyramid[level] for level in sorted(self.pyramid)}
    if self.semantic is not None:
      maps['semantic'] = self.semantic
    return self._replace(table=roi_pooling.feature_table(maps))


def features_in_turn(results: Any, features: ImageFeatures) -> tuple[Any, ImageFeatures]:
  """`backward_in_turn` between parts that pool RoIs from the features of a batch."""
  table = features.table
  if table is None or table.pixels is None:  # XLA, which orders its programs itself.
    return results, features
  results, pixels = backward_in_turn(results, table.pixels)
  return results, features._replace(table=table._replace(pixels=pixels))


class GroundTruth(NamedTuple):
  """The instances of a batch.

  Attributes:
    boxes: [batch, num_instances, 4] yxyx in padded-image pixels; padding rows are all -1.
    classes: [batch, num_instances] int32, 1..num_classes-1; padding -1.
    masks: [batch, num_instances, height, width / 8] uint8, bits along the width, or None.
  """

  boxes: tf.Tensor
  classes: tf.Tensor
  masks: tf.Tensor | None


class Proposals(NamedTuple):
  """Proposals of a batch, best score first.

  Attributes:
    boxes: [batch, num, 4] float32 yxyx in padded-image pixels, inside the image; padding rows are
      all -1.
    scores: [batch, num] float32 objectness in 0..1; padding rows are 0.
    valid: [batch, num] bool, False in padding rows.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  valid: tf.Tensor


class AnchorTargets(NamedTuple):
  """What the region proposal network trains on.

  Attributes:
    labels: [batch, num] int32; 1 positive, 0 background, -1 not sampled.
    matched_boxes: [batch, num, 4] float32 box of the truth; where not positive the anchor.
  """

  labels: tf.Tensor
  matched_boxes: tf.Tensor


class SampledRois(NamedTuple):
  """RoIs to train a stage on: positives, then background, then padding.

  Attributes:
    boxes: [batch, num_samples, 4] float32 yxyx in padded-image pixels; padding rows are all -1.
    valid: [batch, num_samples] bool, False in padding rows.
    positive: [batch, num_samples] bool, True where the RoI stands for an object.
    gt_index: [batch, num_samples] int32 row of the truth; 0 where not positive.
    classes: [batch, num_samples] int32; 0 where not positive.
    matched_boxes: [batch, num_samples, 4] float32 box of the truth; where not positive the RoI.
    is_gt: [batch, num_samples] bool, True where the RoI is a truth put among the boxes.
  """

  boxes: tf.Tensor
  valid: tf.Tensor
  positive: tf.Tensor
  gt_index: tf.Tensor
  classes: tf.Tensor
  matched_boxes: tf.Tensor
  is_gt: tf.Tensor


class MaskOutputs(NamedTuple):
  """Mask branch of a stage on its training RoIs.

  Attributes:
    logits: [batch, num_rois, size, size] of the true class.
    targets: [batch, num_rois, size, size] 0 or 1.
    valid: [batch, num_rois] bool; False rows are padding.
  """

  logits: tf.Tensor
  targets: tf.Tensor
  valid: tf.Tensor


class StageOutputs(NamedTuple):
  """A stage in training.

  Attributes:
    rois: what the box branch trained on.
    logits: [batch, num_rois, num_classes] on them.
    deltas: [batch, num_rois, 4] on them.
    masks: the mask branch, or None in a box-only model.
  """

  rois: SampledRois
  logits: tf.Tensor
  deltas: tf.Tensor
  masks: MaskOutputs | None


class TrainingOutputs(NamedTuple):
  """The model in training.

  Attributes:
    anchors: [num_anchors, 4] yxyx in padded-image pixels, level by level.
    rpn_logits: [batch, num_anchors].
    rpn_deltas: [batch, num_anchors, 4].
    rpn_targets: the sampled anchors.
    semantic_logits: [batch, h, w, num_semantic_classes], or None without the branch.
    stages: one entry a stage.
  """

  anchors: tf.Tensor
  rpn_logits: tf.Tensor
  rpn_deltas: tf.Tensor
  rpn_targets: AnchorTargets
  semantic_logits: tf.Tensor | None
  stages: tuple[StageOutputs, ...]


class Detections(NamedTuple):
  """Detections of a batch, best score first.

  Attributes:
    boxes: [batch, max_detections, 4] float32 yxyx in padded-image pixels; padding rows are 0.
    scores: [batch, max_detections] float32; padding rows are 0.
    classes: [batch, max_detections] int32, 1..num_classes - 1; padding rows are 0.
    num_detections: [batch] int32 rows that are no padding.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  classes: tf.Tensor
  num_detections: tf.Tensor
