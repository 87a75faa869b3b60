"""Matching of boxes with the ground truth, and sampling of the boxes to train on."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.errors import ConfigError
from htc_tf.ops import boxes as box_ops

BACKGROUND = -1
IGNORED = -2
SAMPLING_RULES = ('random', 'even')
# The IoU of 268,000 anchors with this many ground-truth boxes takes 17 MB.
_GROUP_SIZE = 16


class Samples(NamedTuple):
  """Boxes sampled from each image: positives, then background, then padding.

  Attributes:
    indices: [batch, num_samples] int32 row of the box; ascending among the positives and among the
      background, 0 in padding rows.
    valid: [batch, num_samples] bool, False in padding rows.
    positive: [batch, num_samples] bool.
  """

  indices: tf.Tensor
  valid: tf.Tensor
  positive: tf.Tensor


def assign(
  boxes: tf.Tensor,
  valid: tf.Tensor,
  gt_boxes: tf.Tensor,
  positive_threshold: float,
  negative_threshold: float,
  min_positive_threshold: float,
  match_low_quality: bool,
) -> tf.Tensor:
  """The ground-truth box that each box is matched with (Faster R-CNN, section 3.1.2).

  A box is matched with the ground-truth box of highest IoU if that IoU reaches
  `positive_threshold`, and is background if the IoU is below `negative_threshold`. With
  `match_low_quality`, every ground-truth box whose best IoU reaches `min_positive_threshold` is
  also matched with all boxes at that IoU, even if they match another ground-truth box better; the
  last such ground-truth box wins.

  Ground-truth boxes are processed a few at a time, so that memory does not grow with their number.

  Args:
    boxes: [batch, num, 4] yxyx in padded-image pixels.
    valid: [batch, num] bool; boxes that are not valid are ignored and are never the best match.
    gt_boxes: [batch, num_gt, 4] yxyx in padded-image pixels; padding rows are all -1.
    positive_threshold: IoU from which a box is positive.
    negative_threshold: IoU below which a box is background.
    min_positive_threshold: minimum IoU of a low-quality match.
    match_low_quality: whether low-quality matches count.

  Returns:
    [batch, num] int32 row of the ground truth; -1 for background; -2 for ignored boxes, among them
    those that are not valid.
  """
  matches = _match(boxes, valid, gt_boxes, min_positive_threshold)
  max_iou = tf.nn.relu(matches.max_iou)
  gt_index = tf.where(max_iou < negative_threshold, BACKGROUND, IGNORED)
  gt_index = tf.where(max_iou >= positive_threshold, matches.best, gt_index)
  if match_low_quality:
    gt_index = tf.where(matches.low_quality >= 0, matches.low_quality, gt_index)
  return tf.where(valid, gt_index, IGNORED)


def sample(
  gt_index: tf.Tensor, num_samples: int, positive_fraction: float, rule: str = 'random'
) -> Samples:
  """Boxes to train on: positives, and background boxes for the remaining places.

  Args:
    gt_index: [batch, num] int32, the result of `assign`; ignored entries are never sampled.
    num_samples: number of samples per image; fewer boxes are sampled if there are not enough.
    positive_fraction: maximum share of positives in `num_samples`.
    rule: 'random' draws uniformly without replacement; 'even' takes entries at even distances,
      which makes a training step repeatable.

  Raises:
    ConfigError: the rule is unknown.
  """
  check_rule(rule)
  gt_index = tf.pad(gt_index, [[0, 0], [0, num_samples]], constant_values=IGNORED)
  is_positive, is_negative = gt_index >= 0, tf.equal(gt_index, BACKGROUND)
  num_positive = tf.minimum(_count(is_positive), int(num_samples * positive_fraction))
  num_negative = tf.minimum(_count(is_negative), num_samples - num_positive)  # [batch, 1]
  positives = _pick(is_positive, num_positive, num_samples, rule)
  negatives = _pick(is_negative, num_negative, num_samples, rule)
  return _merge(positives, num_positive, negatives, num_negative)


def check_rule(rule: str) -> None:
  """Raise ConfigError unless the sampling rule is known."""
  if rule not in SAMPLING_RULES:
    raise ConfigError(
      'The sampling rule is unknown', expected=f'one of {list(SAMPLING_RULES)}', got=repr(rule)
    )


class _Matches(NamedTuple):
  """Best match of each box over the ground truth processed so far.

  Attributes:
    max_iou: [batch, num] float32 highest IoU; -1 without ground truth.
    best: [batch, num] int32 first ground-truth box at that IoU.
    low_quality: [batch, num] int32 last ground-truth box whose best boxes include this box; -1 if
      there is none.
  """

  max_iou: tf.Tensor
  best: tf.Tensor
  low_quality: tf.Tensor


def _match(
  boxes: tf.Tensor, valid: tf.Tensor, gt_boxes: tf.Tensor, min_positive_threshold: float
) -> _Matches:
  """Matches over the whole ground truth; arguments as for `assign`."""
  valid = tf.convert_to_tensor(valid)
  num_gt = tf.shape(gt_boxes)[1]
  gt_boxes = tf.pad(gt_boxes, [[0, 0], [0, -num_gt % _GROUP_SIZE], [0, 0]], constant_values=-1)
  num_groups = -(-num_gt // _GROUP_SIZE)
  groups = tf.reshape(gt_boxes, [tf.shape(valid)[0], num_groups, _GROUP_SIZE, 4])

  def add_group(group: tf.Tensor, matches: _Matches) -> tuple[tf.Tensor, _Matches]:
    first = group * _GROUP_SIZE
    members = tf.gather(groups, group, axis=1)
    return group + 1, _add(matches, boxes, valid, members, first, min_positive_threshold)

  none = tf.fill(tf.shape(valid), -1)
  start = _Matches(tf.cast(none, tf.float32), tf.zeros_like(none), none)
  return tf.while_loop(
    lambda group, _: group < tf.shape(groups)[1], add_group, (0, start), parallel_iterations=1
  )[1]


def _add(
  matches: _Matches,
  boxes: tf.Tensor,
  valid: tf.Tensor,
  gt_boxes: tf.Tensor,
  first: tf.Tensor,
  min_positive_threshold: float,
) -> _Matches:
  """Matches that also cover `gt_boxes`, the ground truth from row `first` on."""
  iou = box_ops.pairwise_iou(boxes, gt_boxes)  # [batch, num, num_gt]
  # Padding rows of the ground truth and invalid boxes must not match, not even at IoU 0.
  iou = tf.where(valid[..., None] & ~box_ops.is_padding(gt_boxes)[:, None, :], iou, -1.0)
  max_iou = tf.reduce_max(iou, axis=-1)
  best = first + tf.argmax(iou, axis=-1, output_type=tf.int32)
  best_of_gt = tf.reduce_max(iou, axis=1, keepdims=True)  # [batch, 1, num_gt]
  is_best = tf.equal(iou, best_of_gt) & (best_of_gt >= min_positive_threshold)
  low_quality = tf.reduce_max(tf.where(is_best, first + tf.range(tf.shape(iou)[2]), -1), axis=-1)
  return _Matches(
    tf.maximum(matches.max_iou, max_iou),
    tf.where(max_iou > matches.max_iou, best, matches.best),
    tf.maximum(matches.low_quality, low_quality),
  )


def _count(mask: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(mask, tf.int32), axis=-1, keepdims=True)  # [batch, 1]


def _pick(mask: tf.Tensor, num_picked: tf.Tensor, max_picked: int, rule: str) -> tf.Tensor:
  """Rows [batch, max_picked] where `mask` is true; only the first `num_picked` [batch, 1] count."""
  if rule == 'random':
    noise = tf.random.uniform(tf.shape(mask))
    return tf.math.top_k(tf.where(mask, noise, -1.0), max_picked).indices
  ranks = (tf.range(max_picked) * _count(mask)) // tf.maximum(num_picked, 1)
  return tf.searchsorted(tf.cumsum(tf.cast(mask, tf.int32), axis=-1), ranks + 1)


def _merge(
  positives: tf.Tensor, num_positive: tf.Tensor, negatives: tf.Tensor, num_negative: tf.Tensor
) -> Samples:
  """Picked rows [batch, num_samples] in the order of `Samples`."""
  num_samples = positives.shape[1]
  places = tf.range(num_samples)
  # One sort orders everything: background rows get an offset above any row number, and entries that
  # do not count come last.
  offset, last = 2**30, 2**31 - 1
  keys = tf.concat(
    [
      tf.where(places < num_positive, positives, last),
      tf.where(places < num_negative, negatives + offset, last),
    ],
    axis=-1,
  )  # [batch, 2 * num_samples]
  keys = tf.sort(keys, axis=-1)[:, :num_samples]
  valid, positive = keys < last, keys < offset
  return Samples(tf.where(valid, keys % offset, 0), valid, positive)
