"""The hybrid task cascade: one loop over its stages, in training and at inference."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.outputs import (
  GroundTruth,
  ImageFeatures,
  MaskOutputs,
  Proposals,
  StageOutputs,
  features_in_turn,
)
from htc_tf.ops import masks as mask_ops
from htc_tf.ops import xla

# Numbers of mask RoIs are multiples of it: a GPU, or oneDNN, prepares once for each number.
_MASK_ROI_STEP = 16


def _flatten_rois(x: tf.Tensor) -> tf.Tensor:
  """[batch, num_rois, ...] to [batch * num_rois, ...]."""
  return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))


def _unflatten_rois(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """[batch * num_rois, ...] to [batch, num_rois, ...], with the leading shape of `like`."""
  return tf.reshape(x, tf.concat([tf.shape(like)[:2], tf.shape(x)[1:]], 0))


def _unchanged(function: Callable) -> Callable:
  return function


def _stage_outputs(rois, results, masks: MaskOutputs | None) -> StageOutputs:
  """Outputs of a stage from its `results`: logits, deltas and mask logits."""
  logits, deltas, mask_logits = results
  return StageOutputs(rois, logits, deltas, masks and masks._replace(logits=mask_logits))


class Cascade(tf_keras.layers.Layer):
  """Runs the stages on top of the pyramid (Chen et al. 2019, section 3.1).

  Args:
    stages: one to five.
    box_features: RoI features of the box heads.
    mask_features: RoI features of the mask heads; None in a box-only model.
    interleaved: mask branches train on RoIs refined by their stage's box branch and sampled again;
      otherwise on the positives of the box branch.
    information_flow: mask features pass from stage to stage.
    num_mask_rois: most RoIs an image a mask branch trains on: the positives' share of a sample.
    mask_ensemble: 'mean' of the stages' mask probabilities, or 'last'.
    recompute_masks: training computes the activations inside mask heads and predictors again in
      the backward pass instead of keeping them; the gradients are the same.
    **kwargs: passed to Layer.
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
    recompute_masks: bool = False,
    **kwargs: Any,
  ):
    super().__init__(autocast=False, **kwargs)
    self.stages = list(stages)
    self.box_features = box_features
    self.mask_features = mask_features
    self._interleaved = interleaved
    self._information_flow = information_flow
    self._num_mask_rois = num_mask_rois
    self._mask_ensemble = mask_ensemble
    self._recompute_masks = recompute_masks
    self.built = True  # It has no weights of its own.

  def train(
    self, features: ImageFeatures, proposals: Proposals, truth: GroundTruth
  ) -> tuple[StageOutputs, ...]:
    """Runs every stage on sampled RoIs; box gradients stop between stages.

    Args:
      features: of the batch.
      proposals: of the RPN.
      truth: the instances to assign.

    Returns:
      One entry a stage.
    """
    boxes, valid = proposals.boxes, proposals.valid
    outputs = []
    for index, stage in enumerate(self.stages):
      rois = stage.assigner(boxes, valid, truth.boxes, truth.classes)
      logits, deltas = stage.box_head(self.box_features(features, rois.boxes))
      boxes, valid = stage.refine(rois, deltas, features.image_shape)
      masks = None
      if self.mask_features is not None:
        (logits, deltas), features = features_in_turn((logits, deltas), features)
        mask_rois = rois
        if self._interleaved:
          mask_rois = stage.assigner(boxes, valid, truth.boxes, truth.classes)
        masks = self._train_masks(index, features, mask_rois, truth)
      results = (logits, deltas, masks.logits if masks else None)
      if index + 1 < len(self.stages):
        results, features = features_in_turn(results, features)
      outputs.append(_stage_outputs(rois, results, masks))
    return tuple(outputs)

  def _train_masks(self, index: int, features: ImageFeatures, rois, truth) -> MaskOutputs:
    """Mask branch of stage `index` on the positive RoIs, which come first in a sample."""
    num_rois = self._num_rois_to_run(rois.positive)
    boxes = rois.boxes[:, :num_rois]
    valid = rois.positive[:, :num_rois]
    boxes = tf.where(valid[..., tf.newaxis], boxes, -1.0)
    roi_features = _flatten_rois(self.mask_features(features, boxes))
    chain = self.stages[: index + 1] if self._information_flow else self.stages[index : index + 1]
    remember = tf.recompute_grad if self._recompute_masks else _unchanged
    mask_feature = self._mask_features_of(roi_features, chain, remember)[-1]
    classes = tf.reshape(rois.classes[:, :num_rois], [-1])  # [batch * num_rois]
    predict = remember(lambda feature: self.stages[index].mask_predictor(feature, classes))
    logits = _unflatten_rois(predict(mask_feature), boxes)
    targets = mask_ops.mask_targets(
      truth.masks, boxes, rois.gt_index[:, :num_rois], features.image_shape, size=logits.shape[-1]
    )
    return MaskOutputs(logits, targets, valid)

  def _num_rois_to_run(self, positive: tf.Tensor) -> int | tf.Tensor:
    """Rows of a sample that hold all positives of the batch; the most there may be under XLA."""
    if xla.compiling():
      return self._num_mask_rois
    num_positive = tf.reduce_max(tf.reduce_sum(tf.cast(positive, tf.int32), axis=1))
    steps = tf.maximum(-(-num_positive // _MASK_ROI_STEP), 1)
    return tf.minimum(steps * _MASK_ROI_STEP, self._num_mask_rois)

  def _mask_features_of(
    self, roi_features: tf.Tensor, stages: Sequence[CascadeStage], remember: Callable = _unchanged
  ) -> list[tf.Tensor]:
    """Mask feature of each stage on the same RoIs, the preceding one flowing in.

    Args:
      roi_features: [num_rois, size, size, channels].
      stages: to run, one after the other.
      remember: wraps a head, to choose what its backward pass keeps.
    """
    features = []
    for stage in stages:
      flows_in = features[-1:] if self._information_flow else []
      features.append(remember(stage.mask_head)(roi_features, *flows_in))
    return features

  def classify(self, features: ImageFeatures, proposals: Proposals) -> tuple[tf.Tensor, tf.Tensor]:
    """Refines the proposals through all stages and averages the stages' logits.

    Each stage scores its own boxes (Cai and Vasconcelos 2018, section 4.3: the ensemble).

    Args:
      features: of the batch.
      proposals: of the RPN.

    Returns:
      Mean logits [batch, num_proposals, num_classes] and the last stage's boxes
      [batch, num_proposals, 4] yxyx in padded-image pixels, clipped to the image.
    """
    boxes = proposals.boxes
    logits_sum = 0.0
    for stage in self.stages:
      logits, deltas = stage.box_head(self.box_features(features, boxes))
      logits_sum += logits
      boxes = stage.decode(deltas, boxes, features.image_shape)
      boxes = tf.where(proposals.valid[..., tf.newaxis], boxes, -1.0)
    return logits_sum / len(self.stages), boxes

  def segment(self, features: ImageFeatures, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Mask probabilities of detections, over the stages' ensemble.

    Args:
      features: of the batch.
      boxes: [batch, num_detections, 4] yxyx in padded-image pixels.
      classes: [batch, num_detections] int32.

    Returns:
      [batch, num_detections, size, size] float32 probabilities of each detection's class.
    """
    roi_features = _flatten_rois(self.mask_features(features, boxes))
    flat_classes = tf.reshape(classes, [-1])  # [batch * num_detections]
    mask_features = self._mask_features_of(roi_features, self.stages)
    probs = [
      tf.sigmoid(stage.mask_predictor(feature, flat_classes))
      for stage, feature in zip(self.stages, mask_features)
    ]
    # All stages run, so that detection creates every variable; a graph drops what is not used.
    used = probs if self._mask_ensemble == 'mean' else probs[-1:]
    return _unflatten_rois(tf.add_n(used) / len(used), boxes)
