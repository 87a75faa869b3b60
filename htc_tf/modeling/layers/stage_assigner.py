"""Matching of boxes with the ground truth and sampling of the RoIs that a stage trains on."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import SampledRois
from htc_tf.ops import assignment
from htc_tf.ops import boxes as box_ops
from htc_tf.ops.rows import gather_rows


class StageAssigner(tf_keras.layers.Layer):
  """Assignment and sampling of the RoIs of one stage (Cascade R-CNN, section 4.2).

  Ground-truth boxes are added to the candidates before sampling, as published.

  Args:
    iou_threshold: IoU from which a box is positive; below it, a box is background.
    num_samples: number of sampled RoIs per image.
    positive_fraction: maximum share of positives among the sampled RoIs.
    match_low_quality: whether every ground-truth box also gets its best boxes with at least this
      IoU, even if they match another ground-truth box better, as published.
    rule: sampling rule, see `ops.assignment.sample`.
    **kwargs: arguments of Layer.

  Raises:
    ConfigError: the rule is unknown.
  """

  def __init__(
    self,
    iou_threshold: float,
    num_samples: int = 512,
    positive_fraction: float = 0.25,
    match_low_quality: bool = True,
    rule: str = 'random',
    **kwargs: Any,
  ):
    # Under mixed precision, Keras would cast the boxes to 16 bits: errors of several pixels.
    super().__init__(autocast=False, **kwargs)
    assignment.check_rule(rule)
    self.iou_threshold = iou_threshold
    self.match_low_quality = match_low_quality
    self._num_samples = num_samples
    self._positive_fraction = positive_fraction
    self._rule = rule

  def call(
    self, boxes: tf.Tensor, valid: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor
  ) -> SampledRois:
    """Sampled RoIs; no gradient flows through them.

    Args:
      boxes: [batch, num, 4] yxyx in padded-image pixels; padding rows are all -1.
      valid: [batch, num] bool, False for boxes that must not be sampled.
      gt_boxes: [batch, num_gt, 4] yxyx in padded-image pixels; padding rows are all -1.
      gt_classes: [batch, num_gt] int32; padding rows are -1.
    """
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    gt_boxes = tf.stop_gradient(tf.cast(gt_boxes, tf.float32))
    threshold = self.iou_threshold
    gt_index = assignment.assign(
      boxes, valid, gt_boxes, threshold, threshold, threshold, self.match_low_quality
    )
    boxes = tf.concat([gt_boxes, boxes], axis=1)
    gt_index = tf.concat([_own_index(gt_boxes), gt_index], axis=1)
    samples = assignment.sample(gt_index, self._num_samples, self._positive_fraction, self._rule)
    return _look_up(boxes, gt_index, samples, gt_boxes, tf.cast(gt_classes, tf.int32))


def _own_index(gt_boxes: tf.Tensor) -> tf.Tensor:
  """Assignment of each ground-truth box to itself, [batch, num_gt] int32."""
  return tf.where(box_ops.is_padding(gt_boxes), assignment.IGNORED, tf.range(tf.shape(gt_boxes)[1]))


def _look_up(
  boxes: tf.Tensor,
  gt_index: tf.Tensor,
  samples: assignment.Samples,
  gt_boxes: tf.Tensor,
  gt_classes: tf.Tensor,
) -> SampledRois:
  """Sampled rows of `boxes`, which begin with the ground-truth boxes, and their matches."""
  indices, valid, positive = samples
  rois = tf.where(valid[..., None], gather_rows(boxes, indices), -1.0)
  gt_rows = tf.where(positive, gather_rows(gt_index, indices), 0)
  classes = tf.where(positive, gather_rows(gt_classes, gt_rows), 0)
  matched = tf.where(positive[..., None], gather_rows(gt_boxes, gt_rows), rois)
  is_gt = positive & (indices < tf.shape(gt_boxes)[1])
  return SampledRois(rois, valid, positive, gt_rows, classes, matched, is_gt)
