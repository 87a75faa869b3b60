"""Tests of the losses of the RPN against a stored training step and hand-computed cases."""

import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.losses import rpn_loss
from htc_tf.modeling.layers.anchor_assigner import AnchorAssigner
from htc_tf.modeling.outputs import AnchorTargets
from htc_tf.ops import anchors as anchor_ops
from parity.pack import EXTRACT

_SHAPES = {'2': (64, 80), '3': (32, 40), '4': (16, 20), '5': (8, 10), '6': (4, 5)}
_SWAP = [1, 0, 3, 2]  # xyxy to yxyx, dx dy dw dh to dy dx dh dw


@pytest.fixture(scope='module', name='step')
def _step():
  path = EXTRACT / 'training_step.npz'
  with np.load(path) as arrays:
    return dict(arrays)


@pytest.fixture(scope='module', name='anchors')
def _anchors():
  return tf.concat(list(anchor_ops.generate_anchors(_SHAPES).values()), axis=0)


def _targets(step, anchors):
  gt_boxes = np.full([2, 7, 4], -1, np.float32)
  for image in range(2):
    boxes = step[f'gt_image{image}_boxes'][:, _SWAP]
    gt_boxes[image, : len(boxes)] = boxes
  image_shape = step['image_sizes_hw'].astype(np.float32)
  return AnchorAssigner(rule='even')(anchors, image_shape, gt_boxes)


def _outputs(step, num):
  """Logits and deltas; only those of sampled anchors are stored, because no others count."""
  logits, deltas = np.zeros([2, num], np.float32), np.zeros([2, num, 4], np.float32)
  for image in range(2):
    rows = step[f'rpn_sampled_image{image}/anchor_rows']
    logits[image, rows] = step[f'rpn_sampled_image{image}/logits']
    deltas[image, rows] = step[f'rpn_sampled_image{image}/deltas'][:, _SWAP]
  return logits, deltas


def test_losses_equal_the_reference(step, anchors):
  targets = _targets(step, anchors)
  logits, deltas = _outputs(step, len(anchors))
  class_loss = rpn_loss.rpn_class_loss(logits, targets.labels)
  np.testing.assert_allclose(class_loss, step['loss/loss_rpn_cls'].sum(), rtol=1e-5)
  box_loss = rpn_loss.rpn_box_loss(deltas, anchors, targets)
  np.testing.assert_allclose(box_loss, step['loss/loss_rpn_bbox'].sum(), rtol=1e-5)


def test_class_loss_by_hand():
  logits = tf.constant([[0.0, 100.0, math.log(3.0)], [5.0, 5.0, 5.0]], tf.bfloat16)
  labels = tf.constant([[1, 1, 0], [-1, -1, -1]])
  loss = rpn_loss.rpn_class_loss(logits, labels)
  np.testing.assert_allclose(loss, (math.log(2.0) + math.log(4.0)) / 3, rtol=1e-2)


def test_box_loss_by_hand():
  """Two sampled anchors; the positive one has side 10, and its ground truth is a pixel lower."""
  anchors = tf.constant([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 4.0, 4.0]])
  targets = AnchorTargets(
    tf.constant([[1, 0]]), tf.stack([anchors[0] + [1.0, 0.0, 1.0, 0.0], anchors[1]])[None]
  )
  loss = rpn_loss.rpn_box_loss(tf.zeros([1, 2, 4]), anchors, targets, beta=0.05)
  np.testing.assert_allclose(loss, (0.1 - 0.025) / 2, rtol=1e-5)


def test_without_samples_losses_and_gradients_are_zero(anchors):
  num = len(anchors)
  targets = AnchorTargets(tf.fill([1, num], -1), tf.cast(anchors, tf.float32)[None])
  logits, deltas = tf.ones([1, num]), tf.ones([1, num, 4])
  with tf.GradientTape() as tape:
    tape.watch([logits, deltas])
    loss = rpn_loss.rpn_class_loss(logits, targets.labels) + rpn_loss.rpn_box_loss(
      deltas, anchors, targets
    )
  assert loss == 0
  for gradient in tape.gradient(loss, [logits, deltas]):
    assert not np.any(gradient)
