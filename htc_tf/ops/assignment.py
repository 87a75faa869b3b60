"""Assigns boxes to the truth and samples from them; the array maths of training."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf import errors
from htc_tf.ops import boxes as box_ops

BACKGROUND = -1
IGNORED = -2
SAMPLING_RULES = ('random', 'even')
# Of 268,000 anchors, the IoU with so many takes 17 MB.
_TRUTHS_AT_ONCE = 16


class Assignment(NamedTuple):
  """Which truth each box stands for.

  Attributes:
    gt_index: [batch, num] int32; -1 background, -2 ignored (boxes that are not valid too), else the
      row of the truth.
    max_iou: [batch, num] float32 IoU with the nearest truth, 0 without truth.
  """

  gt_index: tf.Tensor
  max_iou: tf.Tensor


def assign(
  boxes: tf.Tensor,
  valid: tf.Tensor,
  gt_boxes: tf.Tensor,
  positive_threshold: float,
  negative_threshold: float,
  min_positive_threshold: float,
  match_low_quality: bool,
) -> Assignment:
  """Assigns every box to a truth, to the background or to neither (Faster R-CNN, section 3.1.2).

  A box is positive for its nearest truth at IoU >= `positive_threshold` and background below
  `negative_threshold`. With `match_low_quality`, every truth whose largest IoU with a valid box
  reaches `min_positive_threshold` then claims all boxes at that IoU; of several claims the last
  truth's holds. Truths are gone through a few at a time: memory does not grow with their number.

  Args:
    boxes: [batch, num, 4] yxyx in padded-image pixels.
    valid: [batch, num] bool; other boxes are ignored and cannot be a truth's nearest.
    gt_boxes: [batch, num_gt, 4] in the same frame; padding rows are all -1.
    positive_threshold: see above.
    negative_threshold: see above.
    min_positive_threshold: see above.
    match_low_quality: see above.
  """
  matches = _match(boxes, valid, gt_boxes, min_positive_threshold)
  max_iou = tf.nn.relu(matches.max_iou)
  gt_index = tf.where(max_iou < negative_threshold, BACKGROUND, IGNORED)
  gt_index = tf.where(max_iou >= positive_threshold, matches.nearest, gt_index)
  if match_low_quality:
    gt_index = tf.where(matches.claimed >= 0, matches.claimed, gt_index)
  return Assignment(tf.where(valid, gt_index, IGNORED), max_iou)


def sample(
  gt_index: tf.Tensor,
  num_samples: int,
  positive_fraction: float,
  rule: str = 'random',
  seed: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Samples positives and background, background filling up what positives leave.

  Args:
    gt_index: [batch, num] int32 as in `Assignment`; ignored entries are never sampled.
    num_samples: samples of an image; fewer where there are not enough.
    positive_fraction: largest part of `num_samples` that positives get.
    rule: 'random' draws uniformly without replacement; 'even' takes entries at even distances,
      which makes a training step repeatable.
    seed: of 'random'.

  Returns:
    indices: [batch, num_samples] int32; positives ascending, then background ascending, then 0.
    valid: [batch, num_samples] bool, True where something was sampled.
    positive: [batch, num_samples] bool.

  Raises:
    ConfigError: for a rule that does not exist.
  """
  check_rule(rule)
  gt_index = tf.pad(gt_index, [[0, 0], [0, num_samples]], constant_values=IGNORED)
  is_positive, is_negative = gt_index >= 0, tf.equal(gt_index, BACKGROUND)
  num_positive = tf.minimum(_count(is_positive), int(num_samples * positive_fraction))
  num_negative = tf.minimum(_count(is_negative), num_samples - num_positive)  # [batch, 1]
  positives = _pick(is_positive, num_positive, num_samples, rule, seed)
  negatives = _pick(is_negative, num_negative, num_samples, rule, seed)
  return _merge(positives, num_positive, negatives, num_negative)


def check_rule(rule: str) -> None:
  """Raises ConfigError for a sampling rule that does not exist."""
  if rule not in SAMPLING_RULES:
    raise errors.ConfigError(
      'Unknown sampling rule', expected=f'one of {list(SAMPLING_RULES)}', got=repr(rule)
    )


class _Matches(NamedTuple):
  """What the truths gone through so far mean to each box.

  Attributes:
    max_iou: [batch, num] float32 IoU with the nearest truth; -1 without any.
    nearest: [batch, num] int32 the first truth at that IoU.
    claimed: [batch, num] int32 the last truth that claims the box, -1 where none does.
  """

  max_iou: tf.Tensor
  nearest: tf.Tensor
  claimed: tf.Tensor


def _match(
  boxes: tf.Tensor, valid: tf.Tensor, gt_boxes: tf.Tensor, min_positive_threshold: float
) -> _Matches:
  """Matches every box with all truths; arguments as for `assign`."""
  valid = tf.convert_to_tensor(valid)
  num_gt = tf.shape(gt_boxes)[1]
  gt_boxes = tf.pad(gt_boxes, [[0, 0], [0, -num_gt % _TRUTHS_AT_ONCE], [0, 0]], constant_values=-1)
  groups = tf.reshape(
    gt_boxes, [tf.shape(valid)[0], -(-num_gt // _TRUTHS_AT_ONCE), _TRUTHS_AT_ONCE, 4]
  )

  def add_group(group: tf.Tensor, matches: _Matches) -> tuple[tf.Tensor, _Matches]:
    return group + 1, _add_truths(
      matches,
      boxes,
      valid,
      tf.gather(groups, group, axis=1),
      group * _TRUTHS_AT_ONCE,
      min_positive_threshold,
    )

  none = tf.fill(tf.shape(valid), -1)
  start = _Matches(tf.cast(none, tf.float32), tf.zeros_like(none), none)
  return tf.while_loop(
    lambda group, _: group < tf.shape(groups)[1], add_group, (0, start), parallel_iterations=1
  )[1]


def _add_truths(
  matches: _Matches,
  boxes: tf.Tensor,
  valid: tf.Tensor,
  gt_boxes: tf.Tensor,
  first: tf.Tensor,
  min_positive_threshold: float,
) -> _Matches:
  """Goes on with the truths from row `first` on, of which `gt_boxes` are the next few."""
  iou = box_ops.pairwise_iou(boxes, gt_boxes)  # [batch, num, num_gt]
  # Neither a padding row of the truth nor a box that is not valid may match, not even at IoU 0.
  iou = tf.where(valid[..., None] & ~box_ops.is_padding(gt_boxes)[:, None, :], iou, -1.0)
  max_iou = tf.reduce_max(iou, axis=-1)
  nearest = first + tf.argmax(iou, axis=-1, output_type=tf.int32)
  best_of_gt = tf.reduce_max(iou, axis=1, keepdims=True)  # [batch, 1, num_gt]
  claims = tf.equal(iou, best_of_gt) & (best_of_gt >= min_positive_threshold)
  claimed = tf.reduce_max(tf.where(claims, first + tf.range(tf.shape(iou)[2]), -1), axis=-1)
  return _Matches(
    tf.maximum(matches.max_iou, max_iou),
    tf.where(max_iou > matches.max_iou, nearest, matches.nearest),
    tf.maximum(matches.claimed, claimed),
  )


def _count(mask: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(mask, tf.int32), axis=-1, keepdims=True)  # [batch, 1]


def _pick(
  mask: tf.Tensor, num_picked: tf.Tensor, max_picked: int, rule: str, seed: int | None
) -> tf.Tensor:
  """Returns [batch, max_picked] entries of `mask`; only the first `num_picked` [batch, 1] count."""
  if rule == 'random':
    noise = tf.random.uniform(tf.shape(mask), seed=seed)
    return tf.math.top_k(tf.where(mask, noise, -1.0), max_picked).indices
  ranks = (tf.range(max_picked) * _count(mask)) // tf.maximum(num_picked, 1)
  return tf.searchsorted(tf.cumsum(tf.cast(mask, tf.int32), axis=-1), ranks + 1)


def _merge(
  positives: tf.Tensor, num_positive: tf.Tensor, negatives: tf.Tensor, num_negative: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Orders the picked entries of [batch, num_samples] as `sample` returns them."""
  num_samples = positives.shape[1]
  places = tf.range(num_samples)
  # One sort does it: background gets an offset above any index, and what does not count comes last.
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
  return tf.where(valid, keys % offset, 0), valid, positive
