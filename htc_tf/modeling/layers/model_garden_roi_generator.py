"""Model Garden's proposal generator behind the interface of the cascade."""

from typing import Mapping, Optional

from official.vision.modeling.layers import roi_generator
import tensorflow as tf

from htc_tf.modeling.layers.roi_generator import Proposals


class ModelGardenProposalGenerator(roi_generator.MultilevelROIGenerator):
  """Model Garden's `MultilevelROIGenerator` with a validity mask.

  Its padding rows are boxes of zeros that would go through the heads like any other; here they are
  marked. It needs static feature shapes.
  """

  def __init__(self, **kwargs):
    super().__init__(autocast=False, dtype=tf.float32, **kwargs)

  def call(self, raw_boxes: Mapping[str, tf.Tensor], raw_scores: Mapping[str, tf.Tensor],
           anchor_boxes: Mapping[str, tf.Tensor], image_shape: tf.Tensor,
           training: Optional[bool] = None) -> Proposals:
    """Proposals of a batch; arguments as in Model Garden."""
    boxes, scores = super().call(raw_boxes, raw_scores, anchor_boxes, image_shape, training)
    boxes, scores = tf.stop_gradient(boxes), tf.stop_gradient(scores)
    valid = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], -1)
    return Proposals(tf.where(valid[..., tf.newaxis], boxes, -1.0), scores, valid)
