"""Tests of the mask loss against a stored training step and hand-computed cases."""

import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.losses import mask_loss
from parity.pack import EXTRACT

_STAGE_WEIGHTS = (1.0, 0.5, 0.25)


@pytest.mark.parametrize('stage', [1, 2])
def test_loss_equals_the_reference(stage):
  path = EXTRACT / 'training_step.npz'
  with np.load(path) as step:
    logits = step[f'stage{stage}/mask_logits_of_label'][None]
    targets = np.unpackbits(step[f'stage{stage}/mask_targets_packed'], axis=-1)
    expected = step[f'loss/s{stage}.loss_mask'][0]
  targets = targets.reshape(logits.shape)
  loss = mask_loss.mask_loss(logits, targets, np.ones(logits.shape[:2], bool))
  np.testing.assert_allclose(_STAGE_WEIGHTS[stage] * loss, expected, rtol=1e-5)


def test_the_mean_is_over_the_valid_rois_of_the_batch():
  logits = tf.reshape(tf.constant([0.0, math.log(3.0), 50.0, 50.0]), [2, 2, 1, 1])
  logits *= tf.ones([1, 1, 4, 4])
  valid = tf.constant([[True, True], [False, False]])
  loss = mask_loss.mask_loss(logits, tf.zeros([2, 2, 4, 4]), valid)
  np.testing.assert_allclose(loss, (math.log(2.0) + math.log(4.0)) / 2, rtol=1e-6)


@pytest.mark.parametrize('num_rois', [0, 3])
def test_without_positives_loss_and_gradient_are_zero(num_rois):
  logits = tf.ones([2, num_rois, 28, 28], tf.bfloat16)
  with tf.GradientTape() as tape:
    tape.watch(logits)
    loss = mask_loss.mask_loss(
      logits, tf.ones([2, num_rois, 28, 28]), tf.zeros([2, num_rois], tf.bool)
    )
  assert loss == 0 and loss.dtype == tf.float32
  assert not np.any(tf.cast(tape.gradient(loss, logits), tf.float32))
