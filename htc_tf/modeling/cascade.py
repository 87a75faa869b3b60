"""The hybrid task cascade: a loop over its stages, in training and at inference.

The comments use the notation of the paper (Chen et al. 2019, section 3.1): x are the image
features, r_t the boxes after stage t, P pools RoI features, B_t and M_t are the box and mask heads,
m_t^- is the feature of mask head M_t before its predictor, and F adds the feature of the previous
mask head to the RoI features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backward_turns import BackwardTurns
from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.outputs import (
  Candidates,
  GroundTruth,
  ImageFeatures,
  MaskOutputs,
  Proposals,
  SampledRois,
  StageOutputs,
)
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import masks as mask_ops
from htc_tf.ops import xla

# The number of mask RoIs is a multiple of this, because GPU and oneDNN kernels are prepared anew
# for every number of RoIs.
_MASK_ROI_STEP = 16


class Cascade(tf_keras.layers.Layer):
  """The stages of the cascade, and the RoI features that they share.

  Args:
    stages: one to five stages.
    box_features: layer from (ImageFeatures, RoIs) to the RoI features of the box heads.
    mask_features: layer from (ImageFeatures, RoIs) to the RoI features of the mask heads; None in a
      box-only model.
    interleaved: whether the mask branch of a stage trains on RoIs that its box branch has refined
      (equation 2); otherwise it trains on the RoIs of the box branch (equation 1).
    information_flow: whether mask features flow from stage to stage (equations 3 and 4).
    num_mask_rois: maximum number of RoIs per image that a mask branch trains on.
    mask_ensemble: 'mean' for the mean mask probabilities of all stages, 'last' for the last stage.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    stages: Sequence[CascadeStage],
    box_features: tf_keras.layers.Layer,
    mask_features: tf_keras.layers.Layer | None = None,
    interleaved: bool = True,
    information_flow: bool = True,
    num_mask_rois: int = 128,
    mask_ensemble: str = 'mean',
    **kwargs: Any,
  ):
    super().__init__(autocast=False, **kwargs)
    self.stages = list(stages)
    self.box_features = box_features
    self.mask_features: Any = mask_features  # A layer; None in a box-only model.
    self._interleaved = interleaved
    self._information_flow = information_flow
    self._num_mask_rois = num_mask_rois
    self._mask_ensemble = mask_ensemble
    self.built = True  # Only its sublayers have weights.

  @property
  def has_masks(self) -> bool:
    """Whether the stages have mask branches."""
    return self.mask_features is not None

  def create_variables(self, pyramid: Mapping[str, tf.Tensor]) -> None:
    """Create the variables of all stages by running their heads on one RoI feature of zeros.

    RoIs are not pooled for it, because that takes longer than all heads together.

    Args:
      pyramid: {'2': [batch, height, width, channels], ...} by level.
    """
    like = next(iter(pyramid.values()))

    def roi_feature(size: int) -> tf.Tensor:
      return tf.zeros([1, size, size, like.shape[-1]], like.dtype)

    for stage in self.stages:
      stage.box_head(roi_feature(self.box_features.crop_size)[tf.newaxis])
    if self.has_masks:
      self._segment(roi_feature(self.mask_features.crop_size), tf.ones([1], tf.int32))

  def train(
    self, features: ImageFeatures, proposals: Proposals, ground_truth: GroundTruth
  ) -> tuple[StageOutputs, ...]:
    """Outputs of every stage on its sampled RoIs; boxes pass no gradient between stages.

    Args:
      features: features of the batch.
      proposals: proposals of the RPN, r_0.
      ground_truth: instances to match the boxes with.
    """
    turns = BackwardTurns(features, len(self.stages) * (2 if self.has_masks else 1))
    boxes, outputs = Candidates(proposals.boxes, proposals.valid), []
    for number, stage in enumerate(self.stages, 1):
      rois = stage.sample(boxes, ground_truth)
      # r_t = B_t(x_t^box), where x_t^box = P(x, r_{t-1}): equation 1.
      logits, deltas = turns.run(self._box_branch, stage, rois)
      deltas = stage.class_deltas(deltas, logits, rois)
      boxes = stage.refine(rois, deltas, features.image_shape)
      masks = None
      if self.has_masks:
        # x_t^mask = P(x, r_t): equation 2; without interleaving P(x, r_{t-1}): equation 1.
        mask_rois = stage.sample(boxes, ground_truth) if self._interleaved else rois
        mask_rois = self._positives(mask_rois)
        mask_logits = turns.run(self._mask_branch, self._mask_stages(number), mask_rois)
        targets = mask_targets(ground_truth, mask_rois, features.image_shape, mask_logits)
        masks = MaskOutputs(mask_logits, targets, mask_rois.positive)
      outputs.append(StageOutputs(rois, logits, deltas, masks))
    return tuple(outputs)

  def classify(self, features: ImageFeatures, proposals: Proposals) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits averaged over the stages, and the boxes of the last stage.

    Each stage scores its input boxes (Cai and Vasconcelos 2018, section 4.3).

    Args:
      features: features of the batch.
      proposals: proposals of the RPN.

    Returns:
      Mean logits [batch, num_proposals, num_classes], and boxes [batch, num_proposals, 4] yxyx in
      padded-image pixels, clipped to the image; if the last stage has deltas for each class,
      [batch, num_proposals, num_classes - 1, 4].
    """
    boxes, logits_sum = proposals.boxes, 0.0
    for stage in self.stages:
      # r_t = B_t(P(x, r_{t-1})): equation 1.
      logits, deltas = stage.box_outputs(self.box_features(features, boxes))
      logits_sum += logits
      if stage is not self.stages[-1]:
        deltas = stage.class_deltas(deltas, logits)
      boxes = stage.decode(deltas, boxes, features.image_shape)
      boxes = tf.where(box_ops.expand_like(proposals.valid, boxes), boxes, -1.0)
    return logits_sum / len(self.stages), boxes

  def segment(self, features: ImageFeatures, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Mask probabilities of detections, averaged over all stages or from the last stage only.

    Args:
      features: features of the batch.
      boxes: [batch, num_detections, 4] yxyx in padded-image pixels.
      classes: [batch, num_detections] int32.

    Returns:
      [batch, num_detections, size, size] float32 probabilities of each detection's class.
    """
    roi_features = self._flat_mask_features(features, boxes)
    return unflatten_rois(self._segment(roi_features, tf.reshape(classes, [-1])), boxes)

  def _segment(self, roi_features: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Mask probabilities [num, size, size] of the classes [num] of RoI features."""
    feature: tf.Tensor | None = None
    probs = []
    for stage in self.stages:
      # m_t = M_t(F(x^mask, m_{t-1}^-)): equations 3 and 4.
      previous = feature if self._information_flow else None
      feature = stage.mask_feature(roi_features, previous)
      probs.append(tf.sigmoid(stage.mask_logits(feature, classes)))
    # All stages run, so that every variable is created; a graph drops unused results.
    used = probs if self._mask_ensemble == 'mean' else probs[-1:]
    return tf.add_n(used) / len(used)

  def _box_branch(
    self, features: ImageFeatures, stage: CascadeStage, rois: SampledRois
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of a stage on its training RoIs."""
    roi_features = self.box_features(features, rois.boxes)
    return stage.box_outputs(roi_features, training=True, valid=rois.valid)

  def _mask_branch(
    self, features: ImageFeatures, stages: Sequence[CascadeStage], rois: SampledRois
  ) -> tf.Tensor:
    """Mask logits of the last of `stages`, [batch, num_rois, size, size].

    The earlier stages run on the same RoIs to compute the feature that flows into the last one.
    """
    roi_features = self._flat_mask_features(features, rois.boxes)
    feature: tf.Tensor | None = None
    for stage in stages:
      # m_t^- = M_t^-(F(x^mask, m_{t-1}^-)): equations 3 and 4.
      feature = stage.mask_feature(roi_features, feature, training=True)
    classes = tf.reshape(rois.classes, [-1])  # [batch * num_rois]
    return unflatten_rois(stages[-1].mask_logits(feature, classes, training=True), rois.boxes)

  def _flat_mask_features(self, features: ImageFeatures, boxes: tf.Tensor) -> tf.Tensor:
    """x^mask = P(x, boxes) for the mask heads, [batch * num_rois, size, size, channels]."""
    return flatten_rois(self.mask_features(features, boxes))

  def _mask_stages(self, number: int) -> list[CascadeStage]:
    """Stages whose mask heads run when stage `number`, counted from 1, trains its mask branch."""
    return self.stages[:number] if self._information_flow else self.stages[number - 1 : number]

  def _positives(self, rois: SampledRois) -> SampledRois:
    """The first rows of a sample, which hold all positives; background rows become padding."""
    num_rois = self._num_rois_to_run(rois.positive)
    rois = SampledRois(*(values[:, :num_rois] for values in rois))
    return rois._replace(boxes=tf.where(rois.positive[..., tf.newaxis], rois.boxes, -1.0))

  def _num_rois_to_run(self, positive: tf.Tensor) -> int | tf.Tensor:
    """Number of rows that hold all positives of the batch; under XLA, the maximum number."""
    if xla.compiling():
      return self._num_mask_rois
    num_positive = tf.reduce_max(tf.reduce_sum(tf.cast(positive, tf.int32), axis=1))
    steps = tf.maximum(-(-num_positive // _MASK_ROI_STEP), 1)
    return tf.minimum(steps * _MASK_ROI_STEP, self._num_mask_rois)


def mask_targets(
  ground_truth: GroundTruth, rois: SampledRois, image_shape: tf.Tensor, logits: tf.Tensor
) -> tf.Tensor:
  """Targets for mask logits [batch, num_rois, size, size], of the same shape."""
  return mask_ops.mask_targets(
    ground_truth.masks, rois.boxes, rois.gt_index, image_shape, size=logits.shape[-1]
  )


def flatten_rois(x: tf.Tensor) -> tf.Tensor:
  """[batch, num_rois, ...] to [batch * num_rois, ...]."""
  return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))


def unflatten_rois(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """[batch * num_rois, ...] to [batch, num_rois, ...], the leading shape of `like`."""
  return tf.reshape(x, tf.concat([tf.shape(like)[:2], tf.shape(x)[1:]], 0))
