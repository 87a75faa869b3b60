"""Data that the parts of the model pass to each other and return.

Boxes are yxyx in padded-image pixels. Padding rows of boxes are all -1 unless stated otherwise.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import roi_pooling


class ImageFeatures(NamedTuple):
  """Features of a batch that every stage reads.

  Attributes:
    pyramid: level to feature map, {'2': [batch, height, width, channels], ...}.
    semantic: [batch, height, width, channels] embedding of the semantic branch, or None without it.
    image_shape: [batch, 2] float32 height and width of the images inside the padding, in pixels.
    pooling_table: pyramid and embedding in the layout for RoI pooling, shared by all stages; None
      if every call of RoI pooling builds a new table.
    context: [batch, channels] feature of the global context branch, or None without it.
  """

  pyramid: Mapping[str, tf.Tensor]
  semantic: tf.Tensor | None
  image_shape: tf.Tensor
  pooling_table: roi_pooling.FeatureTable | None = None
  context: tf.Tensor | None = None

  def with_pooling_table(self) -> 'ImageFeatures':
    """These features with the pooling table."""
    if self.pooling_table is not None:
      return self
    return self._replace(pooling_table=self.build_pooling_table())

  def build_pooling_table(self) -> roi_pooling.FeatureTable:
    """A new pooling table; maps are named by level, and the embedding is named 'semantic'."""
    maps = {level: self.pyramid[level] for level in sorted(self.pyramid)}
    if self.semantic is not None:
      maps['semantic'] = self.semantic
    return roi_pooling.feature_table(maps)


class GroundTruth(NamedTuple):
  """Annotated instances of a batch.

  Attributes:
    boxes: [batch, num_instances, 4] float32.
    classes: [batch, num_instances] int32, 1..num_classes-1; padding rows are -1.
    masks: [batch, num_instances, height, width / 8] uint8, eight pixels of a row per byte, or None.
  """

  boxes: tf.Tensor
  classes: tf.Tensor
  masks: tf.Tensor | None


class Proposals(NamedTuple):
  """Proposals of the region proposal network, best score first.

  Attributes:
    boxes: [batch, num, 4] float32, inside the image.
    scores: [batch, num] float32 objectness in 0..1; padding rows are 0.
    valid: [batch, num] bool, False in padding rows.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  valid: tf.Tensor


class RPNOutputs(NamedTuple):
  """Maps and anchors of the region proposal network by level '2', '3', ..., and its proposals.

  Attributes:
    logits: level to [batch, height, width, num_anchors] float32.
    deltas: level to [batch, height, width, 4 * num_anchors] float32 dy, dx, dh, dw.
    anchors: level to [height * width * num_anchors, 4] float32.
    proposals: proposals of the batch.
  """

  logits: dict[str, tf.Tensor]
  deltas: dict[str, tf.Tensor]
  anchors: dict[str, tf.Tensor]
  proposals: Proposals


class AnchorTargets(NamedTuple):
  """Training targets of the region proposal network.

  Attributes:
    labels: [batch, num_anchors] int32; 1 positive, 0 background, -1 not sampled.
    matched_boxes: [batch, num_anchors, 4] float32 ground-truth box; the anchor if not positive.
  """

  labels: tf.Tensor
  matched_boxes: tf.Tensor


class Candidates(NamedTuple):
  """Boxes from which a stage samples its RoIs: proposals, or boxes refined by a stage.

  Attributes:
    boxes: [batch, num, 4] float32.
    valid: [batch, num] bool, False in rows that must not be sampled.
  """

  boxes: tf.Tensor
  valid: tf.Tensor


class SampledRois(NamedTuple):
  """RoIs that a branch trains on: positives, then background, then padding.

  Attributes:
    boxes: [batch, num_samples, 4] float32.
    valid: [batch, num_samples] bool, False in padding rows.
    positive: [batch, num_samples] bool, True where the RoI is matched to an object.
    gt_index: [batch, num_samples] int32 row of the ground truth; 0 if not positive.
    classes: [batch, num_samples] int32; 0 if not positive.
    matched_boxes: [batch, num_samples, 4] float32 ground-truth box; the RoI if not positive.
    is_gt: [batch, num_samples] bool, True where the RoI is itself a ground-truth box.
  """

  boxes: tf.Tensor
  valid: tf.Tensor
  positive: tf.Tensor
  gt_index: tf.Tensor
  classes: tf.Tensor
  matched_boxes: tf.Tensor
  is_gt: tf.Tensor


class MaskOutputs(NamedTuple):
  """Outputs and targets of the mask branch of a stage on its training RoIs.

  Attributes:
    logits: [batch, num_rois, size, size] float32, of the ground-truth class.
    targets: [batch, num_rois, size, size] float32, 0 or 1.
    valid: [batch, num_rois] bool, False in padding rows.
  """

  logits: tf.Tensor
  targets: tf.Tensor
  valid: tf.Tensor


class StageOutputs(NamedTuple):
  """Outputs of a stage in training.

  Attributes:
    rois: RoIs that the box branch trains on.
    logits: [batch, num_rois, num_classes] class logits.
    deltas: [batch, num_rois, 4] box deltas dy, dx, dh, dw.
    masks: outputs of the mask branch, or None in a box-only model and, if the stages share one mask
      branch, in all stages but the last.
  """

  rois: SampledRois
  logits: tf.Tensor
  deltas: tf.Tensor
  masks: MaskOutputs | None


class ContextOutputs(NamedTuple):
  """Outputs and targets of the global context branch in training.

  Attributes:
    logits: [batch, num_classes - 1] float32, class 1 first.
    classes: [batch, num_instances] int32 classes of the objects; padding rows are -1.
  """

  logits: tf.Tensor
  classes: tf.Tensor


class TrainingOutputs(NamedTuple):
  """Outputs of the model in training, from which the losses are computed.

  Attributes:
    anchors: [num_anchors, 4] float32, level by level.
    rpn_logits: [batch, num_anchors] float32.
    rpn_deltas: [batch, num_anchors, 4] float32 dy, dx, dh, dw.
    rpn_targets: training targets of the anchors.
    semantic_logits: [batch, height, width, num_semantic_classes], or None without the branch.
    stages: outputs of each stage.
    context: outputs of the global context branch, or None without it.
    assistant: outputs on the features of the assisting backbone, or None without one.
  """

  anchors: tf.Tensor
  rpn_logits: tf.Tensor
  rpn_deltas: tf.Tensor
  rpn_targets: AnchorTargets
  semantic_logits: tf.Tensor | None
  stages: tuple[StageOutputs, ...]
  context: ContextOutputs | None = None
  assistant: 'TrainingOutputs | None' = None


class Detections(NamedTuple):
  """Detections of a batch, best score first; rows from `num_detections` on are zero.

  Attributes:
    boxes: [batch, max_detections, 4] float32.
    scores: [batch, max_detections] float32.
    classes: [batch, max_detections] int32, 1..num_classes-1.
    num_detections: [batch] int32.
    masks: [batch, max_detections, size, size] float32 probabilities inside each box, or None.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  classes: tf.Tensor
  num_detections: tf.Tensor
  masks: tf.Tensor | None = None

  def to_dict(self) -> dict[str, tf.Tensor]:
    """The detections under Model Garden's output names; without masks, no `detection_masks`."""
    outputs = {
      'detection_boxes': self.boxes,
      'detection_scores': self.scores,
      'detection_classes': self.classes,
      'num_detections': self.num_detections,
    }
    return outputs if self.masks is None else {**outputs, 'detection_masks': self.masks}
