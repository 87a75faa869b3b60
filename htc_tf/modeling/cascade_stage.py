"""Stage of the cascade: heads, sampling of RoIs and box coder."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.stage_assigner import StageAssigner
from htc_tf.modeling.outputs import Candidates, GroundTruth, SampledRois
from htc_tf.ops import boxes as box_ops


class CascadeStage(tf_keras.layers.Layer):
  """Parts of a stage, grouped under one name in checkpoints and called by the cascade.

  Args:
    box_head: layer from RoI features to class logits and box deltas.
    assigner: layer that matches boxes with the ground truth and samples RoIs.
    box_coder_weights: factors on dy, dx, dh, dw.
    mask_head: layer from RoI features to mask features; None in a box-only model.
    mask_predictor: layer from mask features and classes to mask logits; None in a box-only model.
    recompute_masks: whether training recomputes the activations inside mask head and predictor in
      the backward pass (gradient checkpointing): the same gradients in less memory.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    box_head: tf_keras.layers.Layer,
    assigner: StageAssigner,
    box_coder_weights: Sequence[float],
    mask_head: tf_keras.layers.Layer | None = None,
    mask_predictor: tf_keras.layers.Layer | None = None,
    recompute_masks: bool = False,
    **kwargs: Any,
  ):
    super().__init__(autocast=False, **kwargs)
    self.box_head = box_head
    self.assigner = assigner
    # Layers; None in a box-only model, which does not call `mask_feature` and `mask_logits`.
    self.mask_head: Any = mask_head
    self.mask_predictor: Any = mask_predictor
    self.box_coder_weights = tuple(box_coder_weights)
    self._recompute_masks = recompute_masks
    self.built = True  # Only its sublayers have weights.

  def sample(self, candidates: Candidates, ground_truth: GroundTruth) -> SampledRois:
    """RoIs to train on, sampled from candidates and ground-truth boxes; without gradient.

    Args:
      candidates: boxes to sample from.
      ground_truth: instances to match the candidates with.
    """
    return self.assigner(
      candidates.boxes, candidates.valid, ground_truth.boxes, ground_truth.classes
    )

  def box_outputs(
    self, roi_features: tf.Tensor, training: bool = False, valid: tf.Tensor | None = None
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of RoIs, as those of `BoxHead`.

    Args:
      roi_features: [batch, num_rois, size, size, channels].
      training: whether batch norms of the head use the statistics of the batch.
      valid: [batch, num_rois] bool, False in padding rows; None if there are none. Only the batch
        norms in training read it.
    """
    return self.box_head(roi_features, training=training, valid=valid)

  def class_deltas(
    self, deltas: tf.Tensor, logits: tf.Tensor, rois: SampledRois | None = None
  ) -> tf.Tensor:
    """One box delta per RoI, [batch, num_rois, 4].

    Of a head with deltas for each class, these are the deltas of the class of the RoI: that of its
    object in training, otherwise the foreground class with the largest logit.

    Args:
      deltas: [batch, num_rois, 4] or [batch, num_rois, num_classes - 1, 4] of the box head.
      logits: [batch, num_rois, num_classes] of the box head.
      rois: sampled RoIs; None at inference.
    """
    if deltas.shape.rank == 3:
      return deltas
    rows = tf.argmax(logits[..., 1:], axis=-1, output_type=tf.int32)
    if rois is not None:
      rows = tf.where(rois.positive, rois.classes - 1, rows)
    return tf.gather(deltas, rows, batch_dims=2)

  def decode(self, deltas: tf.Tensor, rois: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
    """Refined boxes of the shape of the deltas, clipped to the image.

    Args:
      deltas: [batch, num_rois, 4] or [batch, num_rois, num_classes - 1, 4] box deltas dy, dx, dh,
        dw of the box head.
      rois: [batch, num_rois, 4] yxyx in padded-image pixels.
      image_shape: [batch, 2] height and width inside the padding.
    """
    rois = rois if deltas.shape.rank == 3 else rois[:, :, tf.newaxis]
    return box_ops.clip(box_ops.decode(deltas, rois, self.box_coder_weights), image_shape)

  def refine(self, rois: SampledRois, deltas: tf.Tensor, image_shape: tf.Tensor) -> Candidates:
    """Refined boxes from which the next branch samples; without gradient.

    RoIs that are ground-truth boxes are dropped, because every sampling adds them again.

    Args:
      rois: sampled RoIs of the box branch.
      deltas: [batch, num_rois, 4] box deltas dy, dx, dh, dw of the box head.
      image_shape: [batch, 2] height and width inside the padding.
    """
    boxes = self.decode(tf.stop_gradient(deltas), rois.boxes, image_shape)
    valid = rois.valid & ~rois.is_gt
    return Candidates(tf.where(valid[..., tf.newaxis], boxes, -1.0), valid)

  def mask_feature(
    self, roi_features: tf.Tensor, previous: tf.Tensor | None, training: bool = False
  ) -> tf.Tensor:
    """Mask feature m_t^- of RoIs, [num_rois, size, size, num_filters].

    Args:
      roi_features: [num_rois, size, size, channels].
      previous: mask feature m_{t-1}^- of the previous stage on the same RoIs, or None.
      training: whether a backward pass follows.
    """
    head = self.mask_head
    if training and self._recompute_masks:
      head = tf.recompute_grad(head)
    return head(roi_features) if previous is None else head(roi_features, previous)

  def mask_logits(
    self, feature: tf.Tensor, classes: tf.Tensor, training: bool = False
  ) -> tf.Tensor:
    """Mask logits m_t of one class per RoI, [num_rois, 2 * size, 2 * size].

    Args:
      feature: [num_rois, size, size, num_filters] mask feature.
      classes: [num_rois] int32.
      training: whether a backward pass follows.
    """
    if not (training and self._recompute_masks):
      return self.mask_predictor(feature, classes)
    return tf.recompute_grad(lambda x: self.mask_predictor(x, classes))(feature)
