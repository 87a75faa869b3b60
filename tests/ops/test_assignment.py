"""Tests of assignment and sampling against stored reference arrays and hand-computed cases."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf import errors
from htc_tf.ops import assignment
from parity.pack import EXTRACT

# Positive, negative and minimum positive threshold.
_THRESHOLDS = {
  'rpn': (0.7, 0.3, 0.3),
  'stage0': (0.5,) * 3,
  'stage1': (0.6,) * 3,
  'stage2': (0.7,) * 3,
}
_traced_sample = tf.function(assignment.sample, autograph=False)


@pytest.fixture(scope='module', name='reference')
def _reference():
  with np.load(EXTRACT / 'ops.npz') as arrays:
    reference = {key[9:]: arrays[key] for key in arrays.files if key.startswith('assigner/')}
  for key in ('boxes', 'gt_boxes'):
    reference[key] = reference[key][None, :, [1, 0, 3, 2]]
  return reference


@pytest.mark.parametrize('name', _THRESHOLDS)
def test_assignment_equals_the_reference(reference, name):
  boxes = reference['boxes']
  result = assignment.assign(
    boxes,
    np.ones(boxes.shape[:2], bool),
    reference['gt_boxes'],
    *_THRESHOLDS[name],
    match_low_quality=True,
  )
  np.testing.assert_array_equal(result[0], reference[f'{name}_gt_index_plus1'] - 1)


def _assign_in_loops(boxes, valid, gt_boxes, positive, negative, min_positive):
  """`assign` for one image, by loops over boxes and ground-truth boxes."""
  iou = np.full([len(boxes), len(gt_boxes)], -1.0)
  for row, box in enumerate(boxes):
    for column, gt_box in enumerate(gt_boxes):
      if valid[row] and gt_box[2] >= 0:
        sides = np.maximum(np.minimum(box[2:], gt_box[2:]) - np.maximum(box[:2], gt_box[:2]), 0)
        areas = np.prod(box[2:] - box[:2]) + np.prod(gt_box[2:] - gt_box[:2])
        iou[row, column] = np.prod(sides) / (areas - np.prod(sides))
  result = np.where(iou.max(1) < negative, -1, -2)
  result = np.where(iou.max(1) >= positive, iou.argmax(1), result)
  for column in range(len(gt_boxes)):
    best = iou[:, column].max()
    if best >= min_positive:
      result[iou[:, column] == best] = column
  return np.where(valid, result, -2)


@pytest.mark.parametrize(
  'function', [assignment.assign, tf.function(assignment.assign, autograph=False)]
)
@pytest.mark.parametrize('num_gt', [15, 16, 17, 50])
def test_many_ground_truth_boxes_give_the_result_of_plain_loops(function, num_gt):
  rng = np.random.default_rng(num_gt)
  # On a coarse grid many IoUs are equal, and many ground-truth boxes are equal.
  corners, sides = rng.integers(0, 5, [2, 300, 2]), rng.integers(1, 3, [2, 300, 2])
  boxes, gt_boxes = (4.0 * np.concatenate([corners, corners + sides], -1)).astype(np.float32)
  gt_boxes = gt_boxes[:num_gt]
  gt_boxes[[3, num_gt - 2]] = -1
  valid = rng.random(300) < 0.9
  found = function(boxes[None], valid[None], gt_boxes[None], 0.7, 0.3, 0.3, match_low_quality=True)
  expected = _assign_in_loops(boxes, valid, gt_boxes, 0.7, 0.3, 0.3)
  np.testing.assert_array_equal(found[0], expected)
  assert len(set(expected)) > num_gt // 3


@pytest.mark.parametrize('name', _THRESHOLDS)
@pytest.mark.parametrize('gt_boxes', [np.zeros([1, 0, 4]), np.full([1, 3, 4], -1.0)])
def test_without_ground_truth_every_box_is_background(reference, name, gt_boxes):
  boxes = reference['boxes']
  result = assignment.assign(
    boxes,
    np.ones(boxes.shape[:2], bool),
    gt_boxes.astype(np.float32),
    *_THRESHOLDS[name],
    match_low_quality=True,
  )
  np.testing.assert_array_equal(result[0], reference[f'{name}_no_gt_index_plus1'] - 1)


def test_low_quality_matching_by_hand():
  """Ground truth 1 gets boxes 0 and 2 (its best IoU), although box 0 fits ground truth 0 better."""
  boxes = tf.constant([[[0.0, 0, 10, 10], [0, 20, 10, 30], [0, -10, 10, 0]]])
  gt_boxes = tf.constant([[[0.0, 0, 10, 10], [0, -5, 10, 5]]])
  valid = tf.ones([1, 3], tf.bool)
  on = assignment.assign(boxes, valid, gt_boxes, 0.7, 0.3, 0.3, match_low_quality=True)
  off = assignment.assign(boxes, valid, gt_boxes, 0.7, 0.3, 0.3, match_low_quality=False)
  np.testing.assert_array_equal(on, [[1, -1, 1]])
  np.testing.assert_array_equal(off, [[0, -1, -2]])


def test_invalid_boxes_are_ignored_and_are_never_the_best_match():
  boxes = tf.constant([[[0.0, 0, 10, 10], [0, 0, 10, 16], [-1, -1, -1, -1]]])
  valid = tf.constant([[False, True, False]])
  result = assignment.assign(boxes, valid, boxes[:, :1], 0.7, 0.3, 0.3, match_low_quality=True)
  np.testing.assert_array_equal(result, [[-2, 0, -2]])


@pytest.mark.parametrize('function', [assignment.sample, _traced_sample])
def test_even_sampling_equals_its_formula(function):
  rng = np.random.default_rng(0)
  gt_index = rng.choice([-2, -1, 0, 3], p=[0.2, 0.4, 0.2, 0.2], size=[3, 100]).astype(np.int32)
  indices, valid, positive = function(gt_index, 16, 0.25, 'even')
  assert np.all(valid)
  for image in range(3):
    expected = []
    for rows, num in (
      (np.flatnonzero(gt_index[image] >= 0), 4),
      (np.flatnonzero(gt_index[image] == -1), 12),
    ):
      expected.extend(rows[(np.arange(num) * len(rows)) // num])
    np.testing.assert_array_equal(indices[image], expected)
  np.testing.assert_array_equal(positive, np.tile(np.arange(16) < 4, [3, 1]))


@pytest.mark.parametrize('rule', assignment.SAMPLING_RULES)
def test_every_box_is_sampled_if_there_are_too_few(rule):
  gt_index = np.array([[-1, 5, -2, -1, 2], [-2] * 5], np.int32)
  indices, valid, positive = _traced_sample(gt_index, 8, 0.25, rule)
  np.testing.assert_array_equal(indices, [[1, 4, 0, 3, 0, 0, 0, 0], [0] * 8])
  np.testing.assert_array_equal(valid, np.arange(8) < [[4], [0]])
  np.testing.assert_array_equal(positive, np.arange(8) < [[2], [0]])


@pytest.mark.parametrize('rule', assignment.SAMPLING_RULES)
def test_without_boxes_every_sample_is_padding(rule):
  indices, valid, positive = _traced_sample(tf.zeros([2, 0], tf.int32), 4, 0.5, rule)
  assert indices.shape == (2, 4)
  assert not np.any(indices) and not np.any(valid) and not np.any(positive)


def test_random_sampling_is_uniform_without_replacement():
  tf.random.set_seed(1)
  gt_index = np.tile(np.where(np.arange(40) < 10, 0, -1), [2000, 1]).astype(np.int32)
  indices, valid, positive = assignment.sample(gt_index, 8, 0.5, 'random')
  assert np.all(valid)
  assert np.all(np.diff(indices[:, :4]) > 0) and np.all(np.diff(indices[:, 4:]) > 0)
  np.testing.assert_array_equal(positive, np.tile(np.arange(8) < 4, [2000, 1]))
  shares = np.bincount(indices.numpy().ravel(), minlength=40) / 2000
  np.testing.assert_allclose(shares, np.where(np.arange(40) < 10, 4 / 10, 4 / 30), atol=0.05)


def test_an_unknown_sampling_rule_is_rejected():
  with pytest.raises(errors.ConfigError, match='odd'):
    assignment.sample(tf.zeros([1, 3], tf.int32), 2, 0.5, 'odd')
