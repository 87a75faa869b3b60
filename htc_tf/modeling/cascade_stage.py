"""One stage of the cascade: its heads, its assigner and its box coder."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import SampledRois
from htc_tf.ops import boxes as box_ops


class CascadeStage(tf_keras.layers.Layer):
  """The parts of a stage under one name in checkpoints; the cascade calls them.

  Args:
    box_head: RoI features to logits and deltas.
    assigner: boxes and truths to the sampled RoIs of a branch.
    box_coder_weights: factors on dy, dx, dh, dw.
    mask_head: RoI features to mask features; None in a box-only model.
    mask_predictor: mask features and classes to mask logits; None in a box-only model.
    **kwargs: passed to Layer.
  """

  def __init__(
    self,
    box_head: tf_keras.layers.Layer,
    assigner: tf_keras.layers.Layer,
    box_coder_weights: Sequence[float],
    mask_head: tf_keras.layers.Layer | None = None,
    mask_predictor: tf_keras.layers.Layer | None = None,
    **kwargs: Any,
  ):
    super().__init__(autocast=False, **kwargs)
    self.box_head = box_head
    self.assigner = assigner
    self.mask_head = mask_head
    self.mask_predictor = mask_predictor
    self.box_coder_weights = tuple(box_coder_weights)
    self.built = True  # It has no weights of its own.

  def decode(self, deltas: tf.Tensor, rois: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
    """Refined boxes, clipped to the image.

    Args:
      deltas: [batch, num_rois, 4] of the box head.
      rois: [batch, num_rois, 4] yxyx in padded-image pixels.
      image_shape: [batch, 2] unpadded height, width.

    Returns:
      [batch, num_rois, 4] in the frame of `rois`.
    """
    return box_ops.clip(box_ops.decode(deltas, rois, self.box_coder_weights), image_shape)

  def refine(
    self, rois: SampledRois, deltas: tf.Tensor, image_shape: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes the next assignment starts from, without gradient.

    RoIs that were ground truth are dropped: each assignment adds the truths anew.

    Args:
      rois: the sampled RoIs of the box branch.
      deltas: [batch, num_rois, 4] on them.
      image_shape: [batch, 2] unpadded height, width.

    Returns:
      boxes [batch, num_rois, 4], all -1 where dropped or padding, and their validity
      [batch, num_rois].
    """
    boxes = self.decode(tf.stop_gradient(deltas), rois.boxes, image_shape)
    valid = rois.valid & ~rois.is_gt
    return tf.where(valid[..., tf.newaxis], boxes, -1.0), valid
