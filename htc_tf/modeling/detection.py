"""Detections from the averaged class logits of the stages and the boxes of the last stage."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import Detections
from htc_tf.ops import nms

# Score of RoIs that must not be detected: not above any score threshold.
_EXCLUDED = -1.0


class DetectionGenerator(tf_keras.layers.Layer):
  """Selection of detections: NMS within each class over all RoIs, then the best of all classes.

  Args:
    score_threshold: only probabilities strictly above it become detections; 0 or more.
    nms_threshold: maximum IoU of two detections of a class.
    max_detections: number of rows returned.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    score_threshold: float = 0.001,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
    **kwargs: Any,
  ):
    # Under mixed precision, Keras would cast the boxes to 16 bits: errors of several pixels.
    super().__init__(autocast=False, **kwargs)
    self._score_threshold = score_threshold
    self._nms_threshold = nms_threshold
    self._max_detections = max_detections

  def call(self, mean_logits: tf.Tensor, boxes: tf.Tensor, valid: tf.Tensor) -> Detections:
    """Detections, without masks, from class logits.

    Args:
      mean_logits: [batch, num_rois, num_classes] class logits, background at index 0.
      boxes: [batch, num_rois, 4] yxyx in padded-image pixels, clipped to the image.
      valid: [batch, num_rois] bool, False for RoIs that must not be detected.
    """
    probs = tf.nn.softmax(tf.cast(mean_logits, tf.float32))
    return self.select(probs, boxes, valid)

  def select(self, probs: tf.Tensor, boxes: tf.Tensor, valid: tf.Tensor) -> Detections:
    """Detections, without masks, from class probabilities.

    Args:
      probs: [batch, num_rois, num_classes] float32 class probabilities, background at index 0.
      boxes: [batch, num_rois, 4] yxyx in padded-image pixels, clipped to the image.
      valid: [batch, num_rois] bool, False for RoIs that must not be detected.
    """
    scores = tf.where(valid[..., None], probs[..., 1:], _EXCLUDED)  # [batch, num_rois, foreground]
    kept = nms.grouped_nms(
      boxes[:, :, None, :],
      scores,
      self._nms_threshold,
      self._score_threshold,
      self._max_detections,
    )
    found = tf.sequence_mask(kept.num_valid, self._max_detections)
    classes = tf.where(found, kept.groups + 1, 0)
    return Detections(kept.boxes, kept.scores, classes, kept.num_valid)
