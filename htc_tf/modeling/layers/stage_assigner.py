"""Assigns boxes to the truth and samples the ones to train on, for the RPN and for each stage."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import AnchorTargets, SampledRois
from htc_tf.ops import anchors as anchor_ops
from htc_tf.ops import assignment, xla
from htc_tf.ops import boxes as box_ops


class StageAssigner(tf_keras.layers.Layer):
  """Assigns and samples the RoIs of one stage (Cascade R-CNN, section 4.2)."""

  def __init__(
    self,
    iou_threshold: float,
    num_samples: int = 512,
    positive_fraction: float = 0.25,
    match_low_quality: bool = True,
    add_ground_truth: bool = True,
    rule: str = 'random',
    **kwargs: Any,
  ):
    """Builds the layer.

    Args:
      iou_threshold: IoU from which a box stands for a truth; below it is background.
      num_samples: RoIs of an image.
      positive_fraction: largest part of them that is positive.
      match_low_quality: whether a truth claims its nearest boxes from another one, as published.
      add_ground_truth: whether the truth is put in front of the boxes before sampling.
      rule: sampling rule, see `ops.assignment.sample`.
      **kwargs: passed to Layer.

    Raises:
      ConfigError: for a rule that does not exist.
    """
    # Under a mixed precision policy Keras would cast the boxes to 16 bits: errors of pixels.
    super().__init__(autocast=False, **kwargs)
    assignment.check_rule(rule)
    self._iou_threshold = iou_threshold
    self._num_samples = num_samples
    self._positive_fraction = positive_fraction
    self._match_low_quality = match_low_quality
    self._add_ground_truth = add_ground_truth
    self._rule = rule

  def call(
    self, boxes: tf.Tensor, valid: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor
  ) -> SampledRois:
    """Samples RoIs; no gradient flows through them.

    Args:
      boxes: [batch, num, 4] yxyx in padded-image pixels; padding rows are all -1.
      valid: [batch, num] bool, False for boxes that must not be sampled.
      gt_boxes: [batch, num_gt, 4] in the same frame; padding rows are all -1.
      gt_classes: [batch, num_gt] int32; padding rows are -1.
    """
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    gt_boxes = tf.stop_gradient(tf.cast(gt_boxes, tf.float32))
    gt_classes = tf.cast(gt_classes, tf.int32)
    gt_index = assignment.assign(
      boxes,
      valid,
      gt_boxes,
      self._iou_threshold,
      self._iou_threshold,
      self._iou_threshold,
      self._match_low_quality,
    ).gt_index
    num_added = 0
    if self._add_ground_truth:
      num_added = tf.shape(gt_boxes)[1]
      boxes = tf.concat([gt_boxes, boxes], axis=1)
      gt_index = tf.concat([_own_index(gt_boxes), gt_index], axis=1)
    indices, valid, positive = assignment.sample(
      gt_index, self._num_samples, self._positive_fraction, self._rule
    )
    return _describe(boxes, gt_index, indices, valid, positive, gt_boxes, gt_classes, num_added)

  def get_config(self) -> dict[str, Any]:
    """Arguments of the constructor by name, as Keras asks for them."""
    return {
      **super().get_config(),
      'iou_threshold': self._iou_threshold,
      'num_samples': self._num_samples,
      'positive_fraction': self._positive_fraction,
      'match_low_quality': self._match_low_quality,
      'add_ground_truth': self._add_ground_truth,
      'rule': self._rule,
    }


class AnchorAssigner(tf_keras.layers.Layer):
  """Assigns and samples anchors; only those wholly inside the image take part."""

  def __init__(
    self,
    positive_threshold: float = 0.7,
    negative_threshold: float = 0.3,
    min_positive_threshold: float = 0.3,
    num_samples: int = 256,
    positive_fraction: float = 0.5,
    rule: str = 'random',
    **kwargs: Any,
  ):
    """Builds the layer.

    Args:
      positive_threshold: IoU from which an anchor stands for a truth.
      negative_threshold: IoU below which it is background.
      min_positive_threshold: IoU from which a truth claims its nearest anchors, however low.
      num_samples: anchors of an image.
      positive_fraction: largest part of them that is positive.
      rule: sampling rule, see `ops.assignment.sample`.
      **kwargs: passed to Layer.

    Raises:
      ConfigError: for a rule that does not exist.
    """
    super().__init__(autocast=False, **kwargs)
    assignment.check_rule(rule)
    self._positive_threshold = positive_threshold
    self._negative_threshold = negative_threshold
    self._min_positive_threshold = min_positive_threshold
    self._num_samples = num_samples
    self._positive_fraction = positive_fraction
    self._rule = rule

  def call(self, anchors: tf.Tensor, image_shape: tf.Tensor, gt_boxes: tf.Tensor) -> AnchorTargets:
    """Samples anchors.

    Args:
      anchors: [num, 4] of all levels, yxyx in padded-image pixels.
      image_shape: [batch, 2] height and width of each image before padding.
      gt_boxes: [batch, num_gt, 4] in the same frame; padding rows are all -1.
    """
    gt_boxes = tf.stop_gradient(tf.cast(gt_boxes, tf.float32))
    inside = anchor_ops.inside_image(anchors, image_shape)  # [batch, num]
    gt_index = tf.map_fn(
      lambda image: self._assign_image(anchors, *image),
      (inside, gt_boxes),
      parallel_iterations=1,
      fn_output_signature=tf.TensorSpec([anchors.shape[0]], tf.int32),
    )
    indices, valid, positive = assignment.sample(
      gt_index, self._num_samples, self._positive_fraction, self._rule
    )
    labels = _scatter_labels(indices, valid, positive, tf.shape(anchors)[0])
    matched = _gather_rows(gt_boxes, tf.nn.relu(gt_index))
    return AnchorTargets(labels, tf.where(tf.equal(labels, 1)[..., None], matched, anchors))

  def _assign_image(self, anchors: tf.Tensor, inside: tf.Tensor, gt_boxes: tf.Tensor) -> tf.Tensor:
    """Returns [num] int32; one image at a time and up to its last truth only, to save memory."""
    if not xla.compiling():
      rows = tf.where(~box_ops.is_padding(gt_boxes))[:, 0]
      gt_boxes = gt_boxes[: tf.reduce_max(tf.pad(rows + 1, [[0, 1]]))]
    return assignment.assign(
      anchors[None],
      inside[None],
      gt_boxes[None],
      self._positive_threshold,
      self._negative_threshold,
      self._min_positive_threshold,
      match_low_quality=True,
    ).gt_index[0]

  def get_config(self) -> dict[str, Any]:
    """Arguments of the constructor by name, as Keras asks for them."""
    return {
      **super().get_config(),
      'positive_threshold': self._positive_threshold,
      'negative_threshold': self._negative_threshold,
      'min_positive_threshold': self._min_positive_threshold,
      'num_samples': self._num_samples,
      'positive_fraction': self._positive_fraction,
      'rule': self._rule,
    }


def _own_index(gt_boxes: tf.Tensor) -> tf.Tensor:
  """Returns [batch, num_gt] the assignment of each truth to itself."""
  return tf.where(box_ops.is_padding(gt_boxes), assignment.IGNORED, tf.range(tf.shape(gt_boxes)[1]))


def _gather_rows(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
  """Gathers rows of each image; without any row in `values`, row 0 is padding."""
  paddings = [[0, 0], [0, 1]] + [[0, 0]] * (values.shape.rank - 2)
  return tf.gather(tf.pad(values, paddings, constant_values=-1), rows, batch_dims=1)


def _describe(
  boxes: tf.Tensor,
  gt_index: tf.Tensor,
  indices: tf.Tensor,
  valid: tf.Tensor,
  positive: tf.Tensor,
  gt_boxes: tf.Tensor,
  gt_classes: tf.Tensor,
  num_added: tf.Tensor,
) -> SampledRois:
  """Looks up what `SampledRois` holds for the sampled `indices` of `boxes`."""
  rois = tf.where(valid[..., None], _gather_rows(boxes, indices), -1.0)
  gt_rows = tf.where(positive, _gather_rows(gt_index, indices), 0)
  classes = tf.where(positive, _gather_rows(gt_classes, gt_rows), 0)
  matched = tf.where(positive[..., None], _gather_rows(gt_boxes, gt_rows), rois)
  return SampledRois(
    rois, valid, positive, gt_rows, classes, matched, is_gt=positive & (indices < num_added)
  )


def _scatter_labels(
  indices: tf.Tensor, valid: tf.Tensor, positive: tf.Tensor, num: tf.Tensor
) -> tf.Tensor:
  """Returns [batch, num] int32: 1 positive, 0 background, -1 not sampled."""
  batch = tf.shape(indices)[0]
  rows = tf.reshape(indices + tf.range(batch)[:, None] * num, [-1, 1])  # [batch * num_samples, 1]
  values = tf.cast(valid, tf.int32) + tf.cast(positive, tf.int32)
  labels = tf.scatter_nd(rows, tf.reshape(values, [-1]), [batch * num])
  return tf.reshape(labels, [batch, num]) - 1  # [batch, num]
