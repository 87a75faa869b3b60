"""The hybrid task cascade: one loop over its stages, in training and at inference."""

from typing import List, Optional, Sequence, Tuple

import tensorflow as tf
import tf_keras

from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.layers.roi_generator import Proposals
from htc_tf.modeling.outputs import GroundTruth
from htc_tf.modeling.outputs import ImageFeatures
from htc_tf.modeling.outputs import MaskOutputs
from htc_tf.modeling.outputs import StageOutputs
from htc_tf.ops import masks as mask_ops


def _flatten_rois(x: tf.Tensor) -> tf.Tensor:
  """[batch, num_rois, ...] to [batch * num_rois, ...]."""
  return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))


def _unflatten_rois(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """[batch * num_rois, ...] to [batch, num_rois, ...], with the leading shape of `like`."""
  return tf.reshape(x, tf.concat([tf.shape(like)[:2], tf.shape(x)[1:]], 0))


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
  """

  def __init__(self, stages: Sequence[CascadeStage], box_features: tf_keras.layers.Layer,
               mask_features: Optional[tf_keras.layers.Layer] = None, interleaved: bool = True,
               information_flow: bool = True, num_mask_rois: int = 128,
               mask_ensemble: str = 'mean', **kwargs):
    super().__init__(autocast=False, **kwargs)
    self.stages = list(stages)
    self.box_features = box_features
    self.mask_features = mask_features
    self._interleaved = interleaved
    self._information_flow = information_flow
    self._num_mask_rois = num_mask_rois
    self._mask_ensemble = mask_ensemble
    self.built = True  # It has no weights of its own.

  def train(self, features: ImageFeatures, proposals: Proposals,
            truth: GroundTruth) -> Tuple[StageOutputs, ...]:
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
        mask_rois = rois
        if self._interleaved:
          mask_rois = stage.assigner(boxes, valid, truth.boxes, truth.classes)
        masks = self._train_masks(index, features, mask_rois, truth)
      outputs.append(StageOutputs(rois, logits, deltas, masks))
    return tuple(outputs)

  def _train_masks(self, index: int, features: ImageFeatures, rois, truth) -> MaskOutputs:
    """Mask branch of stage `index` on the positive RoIs, which come first in a sample."""
    boxes = rois.boxes[:, :self._num_mask_rois]
    valid = rois.positive[:, :self._num_mask_rois]
    boxes = tf.where(valid[..., tf.newaxis], boxes, -1.0)
    gt_index = rois.gt_index[:, :self._num_mask_rois]
    roi_features = _flatten_rois(self.mask_features(features, boxes))
    chain = self.stages[:index + 1] if self._information_flow else self.stages[index:index + 1]
    mask_feature = self._mask_features_of(roi_features, chain)[-1]
    classes = tf.reshape(rois.classes[:, :self._num_mask_rois], [-1])  # [batch * num_rois]
    logits = _unflatten_rois(self.stages[index].mask_predictor(mask_feature, classes), boxes)
    targets = mask_ops.mask_targets(
        truth.masks, boxes, gt_index, features.image_shape, size=logits.shape[-1])
    return MaskOutputs(logits, targets, valid)

  def _mask_features_of(self, roi_features: tf.Tensor,
                        stages: Sequence[CascadeStage]) -> List[tf.Tensor]:
    """Mask feature of each stage on the same RoIs, the preceding one flowing in."""
    features = []
    for stage in stages:
      previous = features[-1] if features and self._information_flow else None
      features.append(stage.mask_head(roi_features, previous))
    return features

  def classify(self, features: ImageFeatures,
               proposals: Proposals) -> Tuple[tf.Tensor, tf.Tensor]:
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
    probs = [tf.sigmoid(stage.mask_predictor(feature, flat_classes))
             for stage, feature in zip(self.stages, mask_features)]
    # All stages run, so that detection creates every variable; a graph drops what is not used.
    used = probs if self._mask_ensemble == 'mean' else probs[-1:]
    return _unflatten_rois(tf.add_n(used) / len(used), boxes)
