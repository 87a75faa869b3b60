"""Assigns boxes to the truth and samples the ones to train on, for the RPN and for each stage."""

from typing import Any, Dict, NamedTuple, Optional, Tuple

import tensorflow as tf
import tf_keras

from htc_tf import errors
from htc_tf.ops import anchors as anchor_ops
from htc_tf.ops import boxes as box_ops

BACKGROUND = -1
IGNORED = -2
SAMPLING_RULES = ('random', 'even')


class Assignment(NamedTuple):
  """Which truth each box stands for.

  Attributes:
    gt_index: [batch, num] int32; -1 background, -2 ignored (boxes that are not valid too), else the
      row of the truth.
    max_iou: [batch, num] float32 IoU with the nearest truth, 0 without truth.
  """
  gt_index: tf.Tensor
  max_iou: tf.Tensor


class SampledRois(NamedTuple):
  """RoIs to train a stage on: positives, then background, then padding.

  Attributes:
    boxes: [batch, num_samples, 4] float32 yxyx in padded-image pixels; padding rows are all -1.
    valid: [batch, num_samples] bool, False in padding rows.
    positive: [batch, num_samples] bool, True where the RoI stands for an object.
    gt_index: [batch, num_samples] int32 row of the truth; 0 where not positive.
    classes: [batch, num_samples] int32; 0 where not positive.
    matched_boxes: [batch, num_samples, 4] float32 box of the truth; where not positive the RoI.
    is_gt: [batch, num_samples] bool, True where the RoI is a truth put among the boxes.
  """
  boxes: tf.Tensor
  valid: tf.Tensor
  positive: tf.Tensor
  gt_index: tf.Tensor
  classes: tf.Tensor
  matched_boxes: tf.Tensor
  is_gt: tf.Tensor


class AnchorTargets(NamedTuple):
  """What the region proposal network trains on.

  Attributes:
    labels: [batch, num] int32; 1 positive, 0 background, -1 not sampled.
    matched_boxes: [batch, num, 4] float32 box of the truth; where not positive the anchor.
  """
  labels: tf.Tensor
  matched_boxes: tf.Tensor


def assign(boxes: tf.Tensor, valid: tf.Tensor, gt_boxes: tf.Tensor, positive_threshold: float,
           negative_threshold: float, min_positive_threshold: float,
           match_low_quality: bool) -> Assignment:
  """Assigns every box to a truth, to the background or to neither (Faster R-CNN, section 3.1.2).

  A box is positive for its nearest truth at IoU >= `positive_threshold` and background below
  `negative_threshold`. With `match_low_quality`, every truth whose largest IoU with a valid box
  reaches `min_positive_threshold` then claims all boxes at that IoU; of several claims the last
  truth's holds.

  Args:
    boxes: [batch, num, 4] yxyx in padded-image pixels.
    valid: [batch, num] bool; other boxes are ignored and cannot be a truth's nearest.
    gt_boxes: [batch, num_gt, 4] in the same frame; padding rows are all -1.
    positive_threshold: see above.
    negative_threshold: see above.
    min_positive_threshold: see above.
    match_low_quality: see above.
  """
  iou = box_ops.pairwise_iou(boxes, gt_boxes)  # [batch, num, num_gt]
  # Neither a padding row of the truth nor a box that is not valid may match, not even at IoU 0.
  iou = tf.where(valid[..., None] & ~box_ops.is_padding(gt_boxes)[:, None, :], iou, -1.0)
  iou = tf.pad(iou, [[0, 0], [0, 0], [0, 1]], constant_values=-1.0)  # argmax needs a column
  max_iou = tf.nn.relu(tf.reduce_max(iou, axis=-1))
  nearest = tf.argmax(iou, axis=-1, output_type=tf.int32)
  gt_index = tf.where(max_iou < negative_threshold, BACKGROUND, IGNORED)
  gt_index = tf.where(max_iou >= positive_threshold, nearest, gt_index)
  if match_low_quality:
    claimed = _last_claim(iou, min_positive_threshold)
    gt_index = tf.where(claimed >= 0, claimed, gt_index)
  return Assignment(tf.where(valid, gt_index, IGNORED), max_iou)


def sample(gt_index: tf.Tensor, num_samples: int, positive_fraction: float, rule: str = 'random',
           seed: Optional[int] = None) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Samples positives and background, background filling up what positives leave.

  Args:
    gt_index: [batch, num] int32 as in `Assignment`; ignored entries are never sampled.
    num_samples: samples of an image; fewer where there are not enough.
    positive_fraction: largest part of `num_samples` that positives get.
    rule: 'random' draws uniformly without replacement; 'even' takes entries at even distances, which
      makes a training step repeatable.
    seed: of 'random'.

  Returns:
    indices: [batch, num_samples] int32; positives ascending, then background ascending, then 0.
    valid: [batch, num_samples] bool, True where something was sampled.
    positive: [batch, num_samples] bool.

  Raises:
    ConfigError: for a rule that does not exist.
  """
  _check_rule(rule)
  gt_index = tf.pad(gt_index, [[0, 0], [0, num_samples]], constant_values=IGNORED)
  is_positive, is_negative = gt_index >= 0, tf.equal(gt_index, BACKGROUND)
  num_positive = tf.minimum(_count(is_positive), int(num_samples * positive_fraction))
  num_negative = tf.minimum(_count(is_negative), num_samples - num_positive)  # [batch, 1]
  positives = _pick(is_positive, num_positive, num_samples, rule, seed)
  negatives = _pick(is_negative, num_negative, num_samples, rule, seed)
  return _merge(positives, num_positive, negatives, num_negative)


class StageAssigner(tf_keras.layers.Layer):
  """Assigns and samples the RoIs of one stage (Cascade R-CNN, section 4.2)."""

  def __init__(self, iou_threshold: float, num_samples: int = 512, positive_fraction: float = 0.25,
               match_low_quality: bool = True, add_ground_truth: bool = True, rule: str = 'random',
               **kwargs):
    """Builds the layer.

    Args:
      iou_threshold: IoU from which a box stands for a truth; below it is background.
      num_samples: RoIs of an image.
      positive_fraction: largest part of them that is positive.
      match_low_quality: whether a truth claims its nearest boxes from another one, as published.
      add_ground_truth: whether the truth is put in front of the boxes before sampling.
      rule: sampling rule, see `sample`.
      **kwargs: passed to Layer.

    Raises:
      ConfigError: for a rule that does not exist.
    """
    super().__init__(**kwargs)
    _check_rule(rule)
    self._iou_threshold = iou_threshold
    self._num_samples = num_samples
    self._positive_fraction = positive_fraction
    self._match_low_quality = match_low_quality
    self._add_ground_truth = add_ground_truth
    self._rule = rule

  def call(self, boxes: tf.Tensor, valid: tf.Tensor, gt_boxes: tf.Tensor,
           gt_classes: tf.Tensor) -> SampledRois:
    """Samples RoIs; no gradient flows through them.

    Args:
      boxes: [batch, num, 4] yxyx in padded-image pixels; padding rows are all -1.
      valid: [batch, num] bool, False for boxes that must not be sampled.
      gt_boxes: [batch, num_gt, 4] in the same frame; padding rows are all -1.
      gt_classes: [batch, num_gt] int32; padding rows are -1.
    """
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    gt_boxes = tf.cast(gt_boxes, tf.float32)
    gt_index = assign(boxes, valid, gt_boxes, self._iou_threshold, self._iou_threshold,
                      self._iou_threshold, self._match_low_quality).gt_index
    num_added = 0
    if self._add_ground_truth:
      num_added = tf.shape(gt_boxes)[1]
      boxes = tf.concat([gt_boxes, boxes], axis=1)
      gt_index = tf.concat([_own_index(gt_boxes), gt_index], axis=1)
    indices, valid, positive = sample(
        gt_index, self._num_samples, self._positive_fraction, self._rule)
    return _describe(boxes, gt_index, indices, valid, positive, gt_boxes, gt_classes, num_added)

  def get_config(self) -> Dict[str, Any]:
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

  def __init__(self, positive_threshold: float = 0.7, negative_threshold: float = 0.3,
               min_positive_threshold: float = 0.3, num_samples: int = 256,
               positive_fraction: float = 0.5, rule: str = 'random', **kwargs):
    """Builds the layer.

    Args:
      positive_threshold: IoU from which an anchor stands for a truth.
      negative_threshold: IoU below which it is background.
      min_positive_threshold: IoU from which a truth claims its nearest anchors, however low.
      num_samples: anchors of an image.
      positive_fraction: largest part of them that is positive.
      rule: sampling rule, see `sample`.
      **kwargs: passed to Layer.

    Raises:
      ConfigError: for a rule that does not exist.
    """
    super().__init__(**kwargs)
    _check_rule(rule)
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
    gt_boxes = tf.cast(gt_boxes, tf.float32)
    inside = anchor_ops.inside_image(anchors, image_shape)  # [batch, num]
    gt_index = tf.map_fn(
        lambda image: self._assign_image(anchors, *image), (inside, gt_boxes),
        fn_output_signature=tf.TensorSpec([anchors.shape[0]], tf.int32))
    indices, valid, positive = sample(
        gt_index, self._num_samples, self._positive_fraction, self._rule)
    labels = _scatter_labels(indices, valid, positive, tf.shape(anchors)[0])
    matched = _gather_rows(gt_boxes, tf.nn.relu(gt_index))
    return AnchorTargets(labels, tf.where(tf.equal(labels, 1)[..., None], matched, anchors))

  def _assign_image(self, anchors: tf.Tensor, inside: tf.Tensor, gt_boxes: tf.Tensor) -> tf.Tensor:
    """Returns [num] int32; one image at a time and up to its last truth only, to save memory."""
    rows = tf.where(~box_ops.is_padding(gt_boxes))[:, 0]
    gt_boxes = gt_boxes[:tf.reduce_max(tf.pad(rows + 1, [[0, 1]]))]
    return assign(anchors[None], inside[None], gt_boxes[None], self._positive_threshold,
                  self._negative_threshold, self._min_positive_threshold,
                  match_low_quality=True).gt_index[0]

  def get_config(self) -> Dict[str, Any]:
    return {
        **super().get_config(),
        'positive_threshold': self._positive_threshold,
        'negative_threshold': self._negative_threshold,
        'min_positive_threshold': self._min_positive_threshold,
        'num_samples': self._num_samples,
        'positive_fraction': self._positive_fraction,
        'rule': self._rule,
    }


def _check_rule(rule: str) -> None:
  if rule not in SAMPLING_RULES:
    raise errors.ConfigError('Unknown sampling rule', expected=f'one of {list(SAMPLING_RULES)}',
                             got=repr(rule))


def _last_claim(iou: tf.Tensor, min_positive_threshold: float) -> tf.Tensor:
  """Returns [batch, num] int32 the last truth that claims each box, -1 where none does."""
  best_of_gt = tf.reduce_max(iou, axis=1, keepdims=True)  # [batch, 1, num_gt]
  claims = tf.equal(iou, best_of_gt) & (best_of_gt >= min_positive_threshold)
  return tf.reduce_max(tf.where(claims, tf.range(tf.shape(iou)[2]), -1), axis=-1)


def _count(mask: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(mask, tf.int32), axis=-1, keepdims=True)  # [batch, 1]


def _pick(mask: tf.Tensor, num_picked: tf.Tensor, max_picked: int, rule: str,
          seed: Optional[int]) -> tf.Tensor:
  """Returns [batch, max_picked] entries of `mask`; only the first `num_picked` [batch, 1] count."""
  if rule == 'random':
    noise = tf.random.uniform(tf.shape(mask), seed=seed)
    return tf.math.top_k(tf.where(mask, noise, -1.0), max_picked).indices
  ranks = (tf.range(max_picked) * _count(mask)) // tf.maximum(num_picked, 1)
  return tf.searchsorted(tf.cumsum(tf.cast(mask, tf.int32), axis=-1), ranks + 1)


def _merge(positives: tf.Tensor, num_positive: tf.Tensor, negatives: tf.Tensor,
           num_negative: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Orders the picked entries of [batch, num_samples] as `sample` returns them."""
  num_samples = positives.shape[1]
  places = tf.range(num_samples)
  # One sort does it: background gets an offset above any index, and what does not count comes last.
  offset, last = 2**30, 2**31 - 1
  keys = tf.concat([
      tf.where(places < num_positive, positives, last),
      tf.where(places < num_negative, negatives + offset, last),
  ], axis=-1)  # [batch, 2 * num_samples]
  keys = tf.sort(keys, axis=-1)[:, :num_samples]
  valid, positive = keys < last, keys < offset
  return tf.where(valid, keys % offset, 0), valid, positive


def _own_index(gt_boxes: tf.Tensor) -> tf.Tensor:
  """Returns [batch, num_gt] the assignment of each truth to itself."""
  return tf.where(box_ops.is_padding(gt_boxes), IGNORED, tf.range(tf.shape(gt_boxes)[1]))


def _gather_rows(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
  """Gathers rows of each image; without any row in `values`, row 0 is padding."""
  paddings = [[0, 0], [0, 1]] + [[0, 0]] * (values.shape.rank - 2)
  return tf.gather(tf.pad(values, paddings, constant_values=-1), rows, batch_dims=1)


def _describe(boxes: tf.Tensor, gt_index: tf.Tensor, indices: tf.Tensor, valid: tf.Tensor,
              positive: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor,
              num_added: tf.Tensor) -> SampledRois:
  """Looks up what `SampledRois` holds for the sampled `indices` of `boxes`."""
  rois = tf.where(valid[..., None], _gather_rows(boxes, indices), -1.0)
  gt_rows = tf.where(positive, _gather_rows(gt_index, indices), 0)
  classes = tf.where(positive, _gather_rows(gt_classes, gt_rows), 0)
  matched = tf.where(positive[..., None], _gather_rows(gt_boxes, gt_rows), rois)
  return SampledRois(rois, valid, positive, gt_rows, classes, matched,
                     is_gt=positive & (indices < num_added))


def _scatter_labels(indices: tf.Tensor, valid: tf.Tensor, positive: tf.Tensor,
                    num: tf.Tensor) -> tf.Tensor:
  """Returns [batch, num] int32: 1 positive, 0 background, -1 not sampled."""
  batch = tf.shape(indices)[0]
  rows = tf.reshape(indices + tf.range(batch)[:, None] * num, [-1, 1])  # [batch * num_samples, 1]
  values = tf.cast(valid, tf.int32) + tf.cast(positive, tf.int32)
  labels = tf.scatter_nd(rows, tf.reshape(values, [-1]), [batch * num])
  return tf.reshape(labels, [batch, num]) - 1  # [batch, num]
