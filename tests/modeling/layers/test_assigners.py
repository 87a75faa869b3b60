"""Tests of the assigners of stages and anchors against a stored training step and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf import errors
from htc_tf.modeling.layers.anchor_assigner import AnchorAssigner
from htc_tf.modeling.layers.stage_assigner import StageAssigner
from htc_tf.ops import anchors as anchor_ops
from parity.pack import EXTRACT

_SWAP = [1, 0, 3, 2]  # xyxy to yxyx
_MAX_INSTANCES = 7
_SHAPES = {'2': (64, 80), '3': (32, 40), '4': (16, 20), '5': (8, 10), '6': (4, 5)}


@pytest.fixture(scope='module', name='step')
def _step():
  path = EXTRACT / 'training_step.npz'
  with np.load(path) as arrays:
    return dict(arrays)


def _pad(rows, length):
  padded = np.full([length, *rows.shape[1:]], -1, rows.dtype)
  padded[: len(rows)] = rows
  return padded


def _ground_truth(step):
  boxes = [_pad(step[f'gt_image{image}_boxes'][:, _SWAP], _MAX_INSTANCES) for image in range(2)]
  classes = [_pad(step[f'gt_image{image}_labels'] + 1, _MAX_INSTANCES) for image in range(2)]
  return np.stack(boxes), np.stack(classes).astype(np.int32)


def _input_boxes(step, stage, kind):
  """Candidate boxes of both images; a mask branch has those of the next box branch."""
  if kind == 'mask' and stage < 2:
    stage, kind = stage + 1, 'box'
  boxes = [step[f'stage{stage}/{kind}_sampling_image{image}/input_boxes'] for image in range(2)]
  return np.stack([_pad(image_boxes[:, _SWAP], max(map(len, boxes))) for image_boxes in boxes])


@pytest.mark.parametrize('kind', ['box', 'mask'])
@pytest.mark.parametrize('stage', [0, 1, 2])
def test_samples_of_a_stage_equal_the_reference(step, stage, kind):
  gt_boxes, gt_classes = _ground_truth(step)
  boxes = _input_boxes(step, stage, kind)
  assigner = StageAssigner((0.5, 0.6, 0.7)[stage], rule='even')
  rois = tf.function(assigner, autograph=False)(
    boxes, ~np.all(boxes == -1, axis=-1), gt_boxes, gt_classes
  )
  for image in range(2):
    prefix = f'stage{stage}/{kind}_sampling_image{image}/'
    positives, negatives = step[prefix + 'pos_inds'], step[prefix + 'neg_inds']
    num = len(positives)
    candidates = np.concatenate([step[f'gt_image{image}_boxes'][:, _SWAP], boxes[image]])
    np.testing.assert_array_equal(
      rois.boxes[image], candidates[np.concatenate([positives, negatives])]
    )
    np.testing.assert_array_equal(rois.positive[image], np.arange(512) < num)
    gt_index = step[prefix + 'pos_gt_index']
    np.testing.assert_array_equal(rois.gt_index[image], np.pad(gt_index, [0, 512 - num]))
    np.testing.assert_array_equal(rois.is_gt[image, :num], step[prefix + 'pos_is_gt'] > 0)
    np.testing.assert_array_equal(rois.classes[image, :num], gt_classes[image, gt_index])
    np.testing.assert_array_equal(rois.matched_boxes[image, :num], gt_boxes[image, gt_index])
  assert np.all(rois.valid)


def test_sampled_anchors_equal_the_reference(step):
  gt_boxes, _ = _ground_truth(step)
  image_shape = step['image_sizes_hw'].astype(np.float32)
  anchors = tf.concat(list(anchor_ops.generate_anchors(_SHAPES).values()), axis=0)
  targets = tf.function(AnchorAssigner(rule='even'), autograph=False)(
    anchors, image_shape, gt_boxes
  )
  inside = anchor_ops.inside_image(anchors, image_shape).numpy()
  for image in range(2):
    rows = np.flatnonzero(inside[image])
    for label, key in ((1, 'pos_inds'), (0, 'neg_inds')):
      expected = rows[step[f'rpn_sampling_image{image}/{key}']]
      np.testing.assert_array_equal(np.flatnonzero(targets.labels[image] == label), expected)
    others = targets.labels[image] != 1
    np.testing.assert_array_equal(targets.matched_boxes[image][others], anchors[others])


@pytest.mark.parametrize('inside_only, labels', [(True, [-1, 0, -1]), (False, [1, 0, -1])])
def test_anchors_across_the_border_are_sampled_by_their_center(inside_only, labels):
  # The image has 40 x 40 pixels, and 64 x 64 with its padding.
  anchors = tf.constant([[-8.0, 0, 48, 40], [0, 0, 8, 8], [60, 60, 80, 80]])
  targets = AnchorAssigner(inside_only=inside_only)(
    anchors, tf.constant([[40.0, 40.0]]), tf.constant([[[0.0, 0, 40, 40]]])
  )
  np.testing.assert_array_equal(targets.labels, [labels])


def test_padding_is_never_sampled():
  boxes = np.array([[[0, 0, 9, 10], [-1] * 4, [20, 20, 30, 30]]], np.float32)
  gt_boxes = np.array([[[-1] * 4, [0, 0, 10, 10]]], np.float32)
  rois = StageAssigner(0.5, num_samples=6, positive_fraction=0.5)(
    boxes, np.array([[True, False, True]]), gt_boxes, np.array([[-1, 4]], np.int32)
  )
  np.testing.assert_array_equal(
    rois.boxes[0], [gt_boxes[0, 1], boxes[0, 0], boxes[0, 2]] + [[-1] * 4] * 3
  )
  np.testing.assert_array_equal(rois.valid[0], [1, 1, 1, 0, 0, 0])
  np.testing.assert_array_equal(rois.classes[0], [4, 4, 0, 0, 0, 0])
  np.testing.assert_array_equal(rois.gt_index[0], [1, 1, 0, 0, 0, 0])
  np.testing.assert_array_equal(rois.is_gt[0], [1, 0, 0, 0, 0, 0])
  np.testing.assert_array_equal(
    rois.matched_boxes[0], [gt_boxes[0, 1]] * 2 + [boxes[0, 2]] + [[-1] * 4] * 3
  )


@pytest.mark.parametrize('num_gt', [0, 3])
@pytest.mark.parametrize('num_boxes', [0, 5])
def test_without_ground_truth_nothing_is_positive(num_gt, num_boxes):
  boxes = np.tile(np.array([0, 0, 8, 8], np.float32), [2, num_boxes, 1])
  gt_boxes = tf.fill([2, num_gt, 4], -1.0)
  rois = tf.function(StageAssigner(0.5, num_samples=8), autograph=False)(
    boxes, np.ones([2, num_boxes], bool), gt_boxes, tf.fill([2, num_gt], -1)
  )
  assert not np.any(rois.positive) and not np.any(rois.classes)
  np.testing.assert_array_equal(np.sum(rois.valid, axis=1), [num_boxes] * 2)
  targets = tf.function(AnchorAssigner(), autograph=False)(
    tf.constant([[0.0, 0.0, 8.0, 8.0]]), tf.constant([[9.0, 9.0], [4.0, 4.0]]), gt_boxes
  )
  np.testing.assert_array_equal(targets.labels, [[0], [-1]])


def test_no_gradient_flows_through_the_rois():
  boxes = tf.constant([[[0.0, 0.0, 9.0, 10.0]]])
  with tf.GradientTape() as tape:
    tape.watch(boxes)
    rois = StageAssigner(0.5, num_samples=4)(
      boxes, tf.constant([[True]]), boxes + 1.0, tf.constant([[2]])
    )
    total = tf.reduce_sum(rois.boxes) + tf.reduce_sum(rois.matched_boxes)
  assert tape.gradient(total, boxes) is None


def test_an_unknown_sampling_rule_is_rejected():
  with pytest.raises(errors.ConfigError, match='odd'):
    StageAssigner(0.5, rule='odd')
  with pytest.raises(errors.ConfigError, match='odd'):
    AnchorAssigner(rule='odd')
