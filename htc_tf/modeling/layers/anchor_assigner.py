"""Matching of anchors with the ground truth and sampling of the anchors that the RPN trains on."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import AnchorTargets
from htc_tf.ops import anchors as anchor_ops
from htc_tf.ops import assignment, xla
from htc_tf.ops import boxes as box_ops
from htc_tf.ops.rows import gather_rows
from htc_tf.ops.without_autograph import without_autograph


class AnchorAssigner(tf_keras.layers.Layer):
  """Assignment and sampling of anchors inside images (Faster R-CNN, section 3.1.2).

  Args:
    positive_threshold: IoU from which an anchor is positive.
    negative_threshold: IoU below which an anchor is background.
    min_positive_threshold: minimum IoU of a low-quality match: every ground-truth box also gets its
      best anchors if they reach this IoU.
    num_samples: number of sampled anchors per image.
    positive_fraction: maximum share of positives among the sampled anchors.
    rule: sampling rule, see `ops.assignment.sample`.
    inside_only: whether anchors that are not wholly inside the image are left out; otherwise those
      whose center is outside the image, rounded up to multiples of 32 pixels, are.
    **kwargs: arguments of Layer.

  Raises:
    ConfigError: the rule is unknown.
  """

  def __init__(
    self,
    positive_threshold: float = 0.7,
    negative_threshold: float = 0.3,
    min_positive_threshold: float = 0.3,
    num_samples: int = 256,
    positive_fraction: float = 0.5,
    rule: str = 'random',
    inside_only: bool = True,
    **kwargs: Any,
  ):
    super().__init__(autocast=False, **kwargs)
    assignment.check_rule(rule)
    self.thresholds = (positive_threshold, negative_threshold, min_positive_threshold)
    self._num_samples = num_samples
    self._positive_fraction = positive_fraction
    self._rule = rule
    self._select = anchor_ops.inside_image if inside_only else anchor_ops.centered_inside

  @without_autograph
  def call(self, anchors: tf.Tensor, image_shape: tf.Tensor, gt_boxes: tf.Tensor) -> AnchorTargets:
    """Labels and matched boxes of the anchors.

    Args:
      anchors: [num, 4] of all levels, yxyx in padded-image pixels.
      image_shape: [batch, 2] height and width of each image before padding.
      gt_boxes: [batch, num_gt, 4] yxyx in padded-image pixels; padding rows are all -1.
    """
    gt_boxes = tf.stop_gradient(tf.cast(gt_boxes, tf.float32))
    inside = self._select(anchors, image_shape)  # [batch, num]
    gt_index = tf.map_fn(
      lambda image: self._assign_image(anchors, *image),
      (inside, gt_boxes),
      parallel_iterations=1,
      fn_output_signature=tf.TensorSpec([anchors.shape[0]], tf.int32),
    )
    samples = assignment.sample(gt_index, self._num_samples, self._positive_fraction, self._rule)
    labels = _labels(samples, tf.shape(anchors)[0])
    matched = gather_rows(gt_boxes, tf.maximum(gt_index, 0))
    return AnchorTargets(labels, tf.where(tf.equal(labels, 1)[..., None], matched, anchors))

  def _assign_image(self, anchors: tf.Tensor, inside: tf.Tensor, gt_boxes: tf.Tensor) -> tf.Tensor:
    """Assignment of the anchors of one image, [num] int32.

    To save memory, images are processed one at a time, and only up to their last ground-truth box.
    """
    if not xla.compiling():
      numbers = tf.range(1, tf.shape(gt_boxes)[0] + 1)
      numbers = tf.where(box_ops.is_padding(gt_boxes), 0, numbers)
      gt_boxes = gt_boxes[: tf.maximum(tf.reduce_max(numbers), 0)]
    return assignment.assign(
      anchors[None], inside[None], gt_boxes[None], *self.thresholds, match_low_quality=True
    )[0]


def _labels(samples: assignment.Samples, num: tf.Tensor) -> tf.Tensor:
  """Labels of the anchors, [batch, num] int32: 1 positive, 0 background, -1 not sampled."""
  batch = tf.shape(samples.indices)[0]
  rows = samples.indices + tf.range(batch)[:, None] * num
  values = tf.cast(samples.valid, tf.int32) + tf.cast(samples.positive, tf.int32)
  labels = tf.scatter_nd(
    tf.reshape(rows, [-1, 1]), tf.reshape(values, [-1]), [batch * num]
  )  # [batch * num]
  return tf.reshape(labels, [batch, num]) - 1  # [batch, num]
