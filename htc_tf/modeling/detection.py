"""Detections from the averaged class logits of the stages and the boxes of the last stage."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import Detections
from htc_tf.ops import nms, soft_nms
from htc_tf.ops.kept_boxes import KeptBoxes
from htc_tf.ops.soft_nms import Suppression

# Score of RoIs that must not be detected: not above any score threshold.
_EXCLUDED = -1.0
_WITHIN_CLASSES = Suppression('hard', 0.5)


class DetectionGenerator(tf_keras.layers.Layer):
  """Selection of detections: NMS over all RoIs, then the best of all classes.

  Args:
    score_threshold: only probabilities strictly above it become detections, 0 or more; or a limit
      for each class.
    suppression: what a detection does to those that overlap it, of its class or of all classes.
    max_detections: number of rows returned.
    **kwargs: arguments of Layer.

  Attributes:
    suppression: the same.
  """

  def __init__(
    self,
    score_threshold: float | Sequence[float] = 0.001,
    suppression: Suppression = _WITHIN_CLASSES,
    max_detections: int = 100,
    **kwargs: Any,
  ):
    # Under mixed precision, Keras would cast the boxes to 16 bits: errors of several pixels.
    super().__init__(autocast=False, **kwargs)
    self._score_threshold = score_threshold
    self.suppression = suppression
    self._max_detections = max_detections

  def call(self, mean_logits: tf.Tensor, boxes: tf.Tensor, valid: tf.Tensor) -> Detections:
    """Detections, without masks, from class logits.

    Args:
      mean_logits: [batch, num_rois, num_classes] class logits, background at index 0.
      boxes: as for `select`.
      valid: [batch, num_rois] bool, False for RoIs that must not be detected.
    """
    probs = tf.nn.softmax(tf.cast(mean_logits, tf.float32))
    return self.select(probs, boxes, valid)

  def select(self, probs: tf.Tensor, boxes: tf.Tensor, valid: tf.Tensor) -> Detections:
    """Detections, without masks, from class probabilities.

    Args:
      probs: [batch, num_rois, num_classes] float32 class probabilities, background at index 0.
      boxes: [batch, num_rois, 4] yxyx in padded-image pixels, clipped to the image; or, with a box
        for each class but the background, [batch, num_rois, num_classes - 1, 4].
      valid: [batch, num_rois] bool, False for RoIs that must not be detected.
    """
    limits = self._score_threshold  # Of all classes, or [foreground].
    scores = probs[..., 1:]
    scores = tf.where(valid[..., None] & (scores > limits), scores, _EXCLUDED)
    kept = self._suppress(boxes if len(boxes.shape) == 4 else boxes[:, :, None], scores)
    found = tf.sequence_mask(kept.num_valid, self._max_detections)
    classes = tf.where(found, kept.groups + 1, 0)
    return Detections(kept.boxes, kept.scores, classes, kept.num_valid)

  def _suppress(self, boxes: tf.Tensor, scores: tf.Tensor) -> KeptBoxes:
    """The best boxes after suppression, with the class - 1 as group.

    Args:
      boxes: [batch, num_rois, foreground or 1, 4] yxyx.
      scores: [batch, num_rois, foreground]; `_EXCLUDED` for what cannot be detected.
    """
    rule = self.suppression
    if rule.method == 'hard' and not rule.across_groups:
      return nms.grouped_nms(boxes, scores, rule.iou_threshold, 0.0, self._max_detections)
    return soft_nms.take_one_by_one(boxes, scores, rule, 0.0, self._max_detections)
