"""Model Garden's proposal generator with the interface that the cascade needs."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from official.vision.modeling.layers import roi_generator

from htc_tf.modeling.outputs import Proposals


class ModelGardenProposalGenerator(roi_generator.MultilevelROIGenerator):
  """Model Garden's `MultilevelROIGenerator` with a validity mask.

  In Model Garden, padding rows are boxes of zeros, which the heads would treat like other boxes;
  here padding rows are marked as not valid. The shapes of the features must be static.

  Args:
    **kwargs: arguments of `MultilevelROIGenerator`.
  """

  def __init__(self, **kwargs: Any):
    super().__init__(autocast=False, dtype=tf.float32, **kwargs)

  def call(
    self,
    raw_boxes: Mapping[str, tf.Tensor],
    raw_scores: Mapping[str, tf.Tensor],
    anchor_boxes: Mapping[str, tf.Tensor],
    image_shape: tf.Tensor,
    training: bool | None = None,
  ) -> Proposals:
    """Proposals of a batch; no gradient flows through them.

    Args:
      raw_boxes: level to [batch, height, width, 4 * num_anchors] deltas dy, dx, dh, dw.
      raw_scores: level to [batch, height, width, num_anchors] logits.
      anchor_boxes: level to [height * width * num_anchors, 4] yxyx in padded-image pixels.
      image_shape: [batch, 2] height and width of each image before padding.
      training: whether the model trains, which selects the numbers of candidates and proposals.
    """
    boxes, scores = super().call(raw_boxes, raw_scores, anchor_boxes, image_shape, training)
    boxes, scores = tf.stop_gradient(boxes), tf.stop_gradient(scores)
    valid = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], -1)
    return Proposals(tf.where(valid[..., tf.newaxis], boxes, -1.0), scores, valid)
