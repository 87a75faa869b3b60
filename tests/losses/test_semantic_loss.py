"""Tests of the semantic loss against stored reference arrays and hand-computed cases."""

import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.losses import semantic_loss
from parity.pack import EXTRACT

_WEIGHT = 0.2  # weight of the loss, included in the stored values


@pytest.fixture(scope='module', name='reference')
def _reference():
  path = EXTRACT / 'ops.npz'
  with np.load(path) as arrays:
    reference = {key[14:]: arrays[key] for key in arrays.files if key.startswith('semantic_loss/')}
  for key in ('logits', 'logits_gradient'):
    reference[key] = np.moveaxis(reference[key], 1, -1)
  return reference


@pytest.mark.parametrize('traced', [False, True])
def test_loss_and_gradient_equal_the_reference(reference, traced):
  function = (
    tf.function(semantic_loss.semantic_loss, autograph=False)
    if traced
    else semantic_loss.semantic_loss
  )
  logits = tf.constant(reference['logits'])
  with tf.GradientTape() as tape:
    tape.watch(logits)
    loss = _WEIGHT * function(logits, reference['labels'][None])
  np.testing.assert_allclose(loss, reference['loss'], rtol=1e-6)
  np.testing.assert_allclose(tape.gradient(loss, logits), reference['logits_gradient'], atol=1e-8)


def test_ignored_pixels_count_in_the_mean_unless_it_is_over_valid_pixels():
  logits = tf.zeros([1, 1, 4, 3], tf.bfloat16)
  labels = np.full([1, 8, 32], 255, np.uint8)
  labels[0, 0, [0, 8]] = [2, 0]
  published = semantic_loss.semantic_loss(logits, labels)
  np.testing.assert_allclose(published, math.log(3.0) * 2 / 4, rtol=1e-6)
  over_valid = semantic_loss.semantic_loss(logits, labels, average_over_valid=True)
  np.testing.assert_allclose(over_valid, math.log(3.0), rtol=1e-6)


@pytest.mark.parametrize('average_over_valid', [False, True])
@pytest.mark.parametrize('compiled', [False, True])
def test_the_mean_per_image_is_that_of_each_image_alone(compiled, average_over_valid):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=[3, 12, 20, 5]).astype(np.float32)
  labels = rng.integers(0, 5, [3, 96, 160]).astype(np.uint8)
  labels[rng.random(labels.shape) < 0.2] = 255
  sizes = [(96, 160), (64, 160), (32, 64)]
  alone = []
  for image, (height, width) in enumerate(sizes):
    labels[image, height:] = labels[image, :, width:] = 255
    alone.append(
      semantic_loss.semantic_loss(
        logits[image : image + 1, : height // 8, : width // 8],
        labels[image : image + 1, :height, :width],
        average_over_valid=average_over_valid,
      )
    )
  function = tf.function(semantic_loss.semantic_loss, jit_compile=True, autograph=False)
  loss = (function if compiled else semantic_loss.semantic_loss)(
    logits,
    labels,
    average_over_valid=average_over_valid,
    image_sizes=tf.constant(sizes, tf.float32),
  )
  np.testing.assert_allclose(loss, np.mean(alone), rtol=1e-6)
  of_batch = semantic_loss.semantic_loss(logits, labels, average_over_valid=average_over_valid)
  assert abs(loss - of_batch) > 1e-3


@pytest.mark.parametrize('average_over_valid', [False, True])
@pytest.mark.parametrize('image_sizes', [None, [[16, 16], [16, 8]]])
def test_only_ignored_pixels_give_zero(image_sizes, average_over_valid):
  labels = np.full([2, 16, 16], 7, np.uint8)
  loss = semantic_loss.semantic_loss(
    tf.ones([2, 2, 2, 5]), labels, 7, average_over_valid, image_sizes
  )
  assert loss == 0
