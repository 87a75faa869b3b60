"""Cascade of SCNet, whose stages share one mask branch behind the last box branch."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backward_turns import BackwardTurns
from htc_tf.modeling.cascade import Cascade, flatten_rois, mask_targets, unflatten_rois
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


class SharedMaskCascade(Cascade):
  """Box stages in a row, then one mask branch (SCNet, Vu et al. 2021, section 3.1).

  In training, the mask branch sees the RoIs of the last box branch, so that their distribution is
  that of inference. Only the outputs of the last stage have masks.

  Args:
    stages: one to five stages without mask heads.
    box_features: layer from (ImageFeatures, RoIs) to the RoI features of the box heads.
    mask_features: the same for the mask head.
    mask_head: layer from RoI features to mask features.
    mask_predictor: layer from mask features and classes to mask logits.
    relay: layer from features of the last box head to summands of the RoI features of the mask head
      (section 3.2); None for none.
    num_mask_rois: maximum number of RoIs per image that the mask branch trains on.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    stages: Sequence[CascadeStage],
    box_features: tf_keras.layers.Layer,
    mask_features: tf_keras.layers.Layer,
    mask_head: tf_keras.layers.Layer,
    mask_predictor: tf_keras.layers.Layer,
    relay: tf_keras.layers.Layer | None = None,
    num_mask_rois: int = 128,
    **kwargs: Any,
  ):
    super().__init__(
      stages, box_features, mask_features, False, False, num_mask_rois=num_mask_rois, **kwargs
    )
    self.mask_head = mask_head
    self.mask_predictor = mask_predictor
    self.relay = relay

  def create_variables(self, pyramid: Mapping[str, tf.Tensor]) -> None:
    """Create the variables of all heads by running them on one RoI feature of zeros.

    Args:
      pyramid: {'2': [batch, height, width, channels], ...} by level.
    """
    like = next(iter(pyramid.values()))
    box_size, size = self.box_features.crop_size, self.mask_features.crop_size
    box_feature = tf.zeros([1, 1, box_size, box_size, like.shape[-1]], like.dtype)
    for stage in self.stages:
      stage.box_head(box_feature)
    shared = self.stages[-1].box_head.shared_feature(box_feature)
    feature = self._with_relay(tf.zeros([1, size, size, like.shape[-1]], like.dtype), shared)
    self.mask_predictor(self.mask_head(feature), tf.ones([1], tf.int32))

  def train(
    self, features: ImageFeatures, proposals: Proposals, ground_truth: GroundTruth
  ) -> tuple[StageOutputs, ...]:
    """Outputs of every stage on its sampled RoIs; those of the last one have masks.

    Args:
      features: features of the batch.
      proposals: proposals of the RPN.
      ground_truth: instances to match the boxes with.
    """
    turns = BackwardTurns(features, len(self.stages) + 1)
    boxes, outputs = Candidates(proposals.boxes, proposals.valid), []
    for stage in self.stages:
      rois = stage.sample(boxes, ground_truth)
      logits, deltas, shared = turns.run(self._box_branch_with_feature, stage, rois)
      deltas = stage.class_deltas(deltas, logits, rois)
      boxes = stage.refine(rois, deltas, features.image_shape)
      outputs.append(StageOutputs(rois, logits, deltas, None))
    mask_rois = self._positives(rois)
    shared = shared[:, : tf.shape(mask_rois.boxes)[1]]
    mask_logits = turns.run(self._shared_mask_branch, mask_rois, shared)
    targets = mask_targets(ground_truth, mask_rois, features.image_shape, mask_logits)
    masks = MaskOutputs(mask_logits, targets, mask_rois.positive)
    return (*outputs[:-1], outputs[-1]._replace(masks=masks))

  def segment(self, features: ImageFeatures, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Mask probabilities of detections; arguments and result as for `Cascade.segment`."""
    # As published, the last box head runs again on the boxes that it refined.
    shared = self.stages[-1].box_head.shared_feature(self.box_features(features, boxes))
    feature = self._with_relay(self._flat_mask_features(features, boxes), shared)
    logits = self.mask_predictor(self.mask_head(feature), tf.reshape(classes, [-1]))
    return unflatten_rois(tf.sigmoid(logits), boxes)

  def _box_branch_with_feature(
    self, features: ImageFeatures, stage: CascadeStage, rois: SampledRois
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of a stage, and the feature that its head computes them from."""
    shared = stage.box_head.shared_feature(self.box_features(features, rois.boxes))
    return *stage.box_head.predict(shared), shared

  def _shared_mask_branch(
    self, features: ImageFeatures, rois: SampledRois, shared: tf.Tensor
  ) -> tf.Tensor:
    """Mask logits [batch, num_rois, size, size] of the classes of RoIs."""
    feature = self._with_relay(self._flat_mask_features(features, rois.boxes), shared)
    logits = self.mask_predictor(self.mask_head(feature), tf.reshape(rois.classes, [-1]))
    return unflatten_rois(logits, rois.boxes)

  def _with_relay(self, mask_features: tf.Tensor, shared: tf.Tensor) -> tf.Tensor:
    """RoI features [num, size, size, channels] of the mask head plus the relayed ones.

    Args:
      mask_features: [batch * num_rois, size, size, channels].
      shared: [batch, num_rois, fc_dims] feature of the last box head.
    """
    if self.relay is None:
      return mask_features
    return mask_features + self.relay(flatten_rois(shared))
