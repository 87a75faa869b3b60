"""Tests of suppression that takes one box at a time, against a loop in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import nms, soft_nms
from htc_tf.ops.kept_boxes import KeptBoxes
from htc_tf.ops.soft_nms import Suppression


def _iou(box, other):
  sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
  inter = np.float32(np.prod(np.maximum(sides, np.float32(0))))
  area, other_area = (np.float32(np.prod(b[2:] - b[:2])) for b in (box, other))
  union = np.float32(area + other_area - inter)
  return np.float32(inter / union) if union else np.float32(0)


def _oracle(boxes, scores, rule, threshold, number):
  """The rule of mmcv's soft_nms on pairs of a box and a group, in float32, without a shift.

  Args:
    boxes: [num, num_groups or 1, 4].
    scores: [num, num_groups].
    rule: a `Suppression`.
    threshold: score threshold.
    number: number of rows.
  """
  num, groups = scores.shape
  left = {(i, g): scores[i, g] for i in range(num) for g in range(groups)}
  left = {pair: score for pair, score in left.items() if score > threshold}
  box_of = {(i, g): boxes[i, g if boxes.shape[1] > 1 else 0] for i, g in left}
  taken = []
  while left and len(taken) < number:
    best = max(left, key=lambda pair: (left[pair], -pair[0], -pair[1]))
    taken.append((*box_of[best], left.pop(best), best[1]))
    for pair in list(left):
      if rule.across_groups or pair[1] == best[1]:
        iou = _iou(box_of[pair], box_of[best])
        weight = np.float32(1)
        if rule.method == 'hard':
          weight = np.float32(iou <= np.float32(rule.iou_threshold))
        elif rule.method == 'linear' and iou >= np.float32(rule.iou_threshold):
          weight = np.float32(1) - iou
        elif rule.method == 'gaussian':
          weight = np.exp(-(iou * iou) / np.float32(rule.sigma))
        left[pair] = np.float32(left[pair] * weight)
      if left[pair] < (1e-12 if rule.method == 'hard' else np.float32(rule.min_score)):
        del left[pair]
  return np.array(taken, np.float32).reshape(-1, 6)


def _random(seed, num=40, groups=3, of_group=False):
  rng = np.random.default_rng(seed)
  corners = rng.uniform(0, 60, [num, groups if of_group else 1, 2])
  boxes = np.concatenate([corners, corners + rng.uniform(5, 40, corners.shape)], -1)
  return boxes.astype(np.float32), rng.uniform(0, 1, [num, groups]).astype(np.float32)


def _check(found: KeptBoxes, row, expected, exact):
  count = int(found.num_valid[row])
  assert count == len(expected)
  np.testing.assert_array_equal(found.boxes[row, :count], expected[:, :4])
  np.testing.assert_array_equal(found.groups[row, :count], expected[:, 5])
  # The exponential functions of NumPy and TensorFlow differ in the last bit.
  tolerance = 0 if exact else 4e-7 * 20
  np.testing.assert_allclose(found.scores[row, :count], expected[:, 4], rtol=tolerance)
  for values in (found.boxes, found.scores, found.groups):
    assert not np.any(values[row, count:])


@pytest.mark.parametrize('of_group', [False, True])
@pytest.mark.parametrize('across_groups', [False, True])
@pytest.mark.parametrize('method', ['hard', 'linear', 'gaussian'])
def test_it_agrees_with_the_loop(method, across_groups, of_group):
  rule = Suppression(method, 0.3, across_groups=across_groups)
  inputs = [_random(seed, of_group=of_group) for seed in range(2)]
  boxes, scores = (np.stack(values) for values in zip(*inputs))
  compiled = tf.function(
    lambda boxes, scores: soft_nms.take_one_by_one(boxes, scores, rule, 0.05, 200), autograph=False
  )
  for found in (soft_nms.take_one_by_one(boxes, scores, rule, 0.05, 200), compiled(boxes, scores)):
    for row, one in enumerate(inputs):
      _check(found, row, _oracle(*one, rule, 0.05, 200), method != 'gaussian')


@pytest.mark.parametrize('method', ['hard', 'linear', 'gaussian'])
def test_it_runs_under_xla(method):
  rule = Suppression(method, 0.3)
  boxes, scores = (values[np.newaxis] for values in _random(3))
  run = tf.function(
    lambda: soft_nms.take_one_by_one(boxes, scores, rule, 0.05, 30),
    autograph=False,
    jit_compile=True,
  )
  found, expected = run(), soft_nms.take_one_by_one(boxes, scores, rule, 0.05, 30)
  np.testing.assert_array_equal(found.boxes, expected.boxes)
  np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


def test_scores_by_hand():
  # Two boxes with IoU 0.5 (10x10 and its upper half), and one far away.
  boxes = np.array([[0, 0, 10, 10], [0, 0, 5, 10], [50, 50, 60, 60]], np.float32)[None, :, None]
  scores = np.array([0.9, 0.8, 0.3], np.float32)[None, :, None]

  def run(*options, **named):
    rule = Suppression(*options, **named)
    return soft_nms.take_one_by_one(boxes, scores, rule, 0.0, 3).scores[0].numpy()

  np.testing.assert_allclose(run('linear', 0.3), [0.9, 0.4, 0.3], rtol=1e-6)
  np.testing.assert_allclose(run('linear', 0.5), [0.9, 0.4, 0.3], rtol=1e-6)  # From the limit on.
  np.testing.assert_allclose(run('linear', 0.6), [0.9, 0.8, 0.3], rtol=1e-6)
  lowered = 0.8 * np.exp(-0.25 / 0.5)
  np.testing.assert_allclose(run('gaussian', 0.3), [0.9, lowered, 0.3], rtol=1e-6)
  np.testing.assert_allclose(run('hard', 0.5), [0.9, 0.8, 0.3], rtol=1e-6)  # Above the limit.
  np.testing.assert_allclose(run('hard', 0.4), [0.9, 0.3, 0], rtol=1e-6)
  np.testing.assert_allclose(run('linear', 0.3, min_score=0.35), [0.9, 0.4, 0], rtol=1e-6)


def test_hard_suppression_equals_that_of_groups():
  boxes, scores = (values[np.newaxis] for values in _random(5))
  one_by_one = soft_nms.take_one_by_one(boxes, scores, Suppression('hard', 0.4), 0.1, 25)
  grouped = nms.grouped_nms(boxes, scores, 0.4, 0.1, 25)
  for found, expected in zip(one_by_one, grouped):
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('num', [0, 2])
def test_nothing_above_the_threshold_gives_empty_rows(num):
  boxes = tf.fill([2, num, 1, 4], -1.0)
  scores = tf.fill([2, num, 3], -1.0)
  found = soft_nms.take_one_by_one(boxes, scores, Suppression('linear', 0.5), 0.0, 4)
  assert found.boxes.shape == (2, 4, 4) and not np.any(found.boxes)
  np.testing.assert_array_equal(found.num_valid, [0, 0])
