"""Tests of the box losses against a stored training step and hand-computed cases."""

import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.losses import box_loss
from htc_tf.modeling.outputs import SampledRois
from parity.pack import EXTRACT

_SWAP = [1, 0, 3, 2]  # xyxy to yxyx, dx dy dw dh to dy dx dh dw
_CODER_WEIGHTS = ((10, 10, 5, 5), (20, 20, 10, 10), (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067))
_STAGE_WEIGHTS = (1.0, 0.5, 0.25)


@pytest.fixture(scope='module', name='step')
def _step():
  with np.load(EXTRACT / 'training_step.npz') as arrays:
    return dict(arrays)


def _sampled(step, stage):
  """Stored samples of a stage, in the form of the assigner's result."""
  boxes, matched = np.zeros([2, 512, 4], np.float32), np.full([2, 512, 4], -1, np.float32)
  positive = np.zeros([2, 512], bool)
  for image in range(2):
    prefix = f'stage{stage}/box_sampling_image{image}/'
    gt_boxes = step[f'gt_image{image}_boxes'][:, _SWAP]
    candidates = np.concatenate([gt_boxes, step[prefix + 'input_boxes'][:, _SWAP]])
    rows = np.concatenate([step[prefix + 'pos_inds'], step[prefix + 'neg_inds']])
    boxes[image], num = candidates[rows], len(step[prefix + 'pos_inds'])
    positive[image, :num] = True
    matched[image, :num] = gt_boxes[step[prefix + 'pos_gt_index']]
  unused = np.zeros([2, 512], np.int32)
  return SampledRois(
    boxes,
    np.ones([2, 512], bool),
    positive,
    unused,
    unused,
    np.where(positive[..., None], matched, boxes),
    positive,
  )


@pytest.mark.parametrize('stage', [0, 1, 2])
def test_box_loss_equals_the_reference(step, stage):
  deltas = step[f'stage{stage}/box_deltas'][:, _SWAP].reshape([2, 512, 4])
  loss = box_loss.box_loss(deltas, _sampled(step, stage), _CODER_WEIGHTS[stage])
  np.testing.assert_allclose(
    _STAGE_WEIGHTS[stage] * loss, step[f'loss/s{stage}.loss_bbox'], rtol=1e-5
  )


def test_class_loss_and_accuracy_equal_the_reference(step):
  """The logits are stored in 16 bits, hence the tolerance."""
  with np.load(EXTRACT / 'stage1_logits.npz') as arrays:
    logits = np.roll(arrays['box_logits'].astype(np.float32), 1, axis=-1)[None]
    labels = arrays['box_labels'].astype(np.int32)
  classes, valid = np.where(labels == 80, 0, labels + 1)[None], np.ones([1, 1024], bool)
  loss = box_loss.class_loss(logits, classes, valid)
  np.testing.assert_allclose(0.5 * loss, step['loss/s1.loss_cls'], rtol=1e-4)
  accuracy = box_loss.accuracy(logits, classes, valid)
  np.testing.assert_allclose(100 * accuracy, step['loss/s1.acc'][0], atol=0.2)


def test_class_loss_and_accuracy_ignore_padding():
  logits = tf.math.log([[[0.5, 0.25, 0.25], [0.2, 0.7, 0.1], [1.0, 1.0, 1.0]]])
  classes, valid = tf.constant([[0, 2, 0]]), tf.constant([[True, True, False]])
  loss = box_loss.class_loss(logits, classes, valid)
  np.testing.assert_allclose(loss, -(math.log(0.5) + math.log(0.1)) / 2, rtol=1e-6)
  np.testing.assert_allclose(box_loss.accuracy(logits, classes, valid), 0.5)


def _rois(boxes, valid, positive, matched):
  unused = tf.zeros_like(valid, tf.int32)
  return SampledRois(
    tf.constant([boxes]), valid, positive, unused, unused, tf.constant([matched]), positive
  )


def test_box_loss_by_hand():
  """A positive RoI of side 10 whose ground truth is 1 pixel lower; background; padding."""
  rois = _rois(
    [[0.0, 0, 10, 10], [0.0, 0, 4, 4], [-1.0] * 4],
    tf.constant([[True, True, False]]),
    tf.constant([[True, False, False]]),
    [[1.0, 0, 11, 10], [0.0, 0, 4, 4], [-1.0] * 4],
  )
  loss = box_loss.box_loss(tf.zeros([1, 3, 4]), rois, (20.0, 20.0, 10.0, 10.0))
  np.testing.assert_allclose(loss, (2.0 - 0.5) / 2, rtol=1e-5)


def test_padding_gives_zero_and_finite_gradients():
  none = tf.zeros([1, 2], tf.bool)
  rois = _rois([[-1.0] * 4, [5.0, 5, 5, 9]], none, none, [[-1.0] * 4, [5.0, 5, 5, 9]])
  deltas, logits = tf.ones([1, 2, 4]), tf.ones([1, 2, 3])
  with tf.GradientTape() as tape:
    tape.watch([deltas, logits])
    loss = box_loss.box_loss(deltas, rois, (10, 10, 5, 5)) + box_loss.class_loss(
      logits, rois.classes, rois.valid
    )
  assert loss == 0
  for gradient in tape.gradient(loss, [deltas, logits]):
    assert not np.any(gradient)  # np.any is true for NaN.


def test_without_rois_all_losses_are_zero():
  none = tf.zeros([1, 0], tf.bool)
  rois = SampledRois(tf.zeros([1, 0, 4]), none, none, none, none, tf.zeros([1, 0, 4]), none)
  assert box_loss.box_loss(tf.zeros([1, 0, 4]), rois, (10, 10, 5, 5)) == 0
  assert box_loss.class_loss(tf.zeros([1, 0, 3]), tf.zeros([1, 0], tf.int32), none) == 0
  assert box_loss.accuracy(tf.zeros([1, 0, 3]), tf.zeros([1, 0], tf.int32), none) == 0
