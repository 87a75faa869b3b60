"""Tests of masks that are sampled on the cells of other boxes."""

import numpy as np
import tensorflow as tf

from htc_tf.evaluation import mask_paste
from htc_tf.ops import moved_masks


def _masks(num=3, height=7, width=5, seed=0):
  return np.random.default_rng(seed).uniform(size=(num, height, width)).astype(np.float32)


def test_a_mask_on_its_own_box_stays():
  masks = _masks(height=6, width=6)
  boxes = tf.constant([[3.0, 4, 9, 40], [0, 0, 1, 1], [-5, 2, 5, 3]])
  np.testing.assert_allclose(moved_masks.move(masks, boxes, boxes, 6), masks, atol=1e-5)


def test_masks_are_sampled_as_when_they_are_pasted():
  """The cells of a box with sides of `size` pixels are pixels."""
  masks = _masks()
  boxes = np.array([[1.5, 2, 8, 11], [-3, -4, 5, 6.5], [6, 3, 20, 9]], np.float32)
  frame = tf.constant([[0.0, 0, 12, 12]] * 3)
  expected = mask_paste.paste_mask_values(masks, boxes, (12, 12))
  assert expected.max() > 0.5 and expected.min() == 0
  found = tf.function(moved_masks.move, autograph=False)(masks, tf.constant(boxes), frame, 12)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_boxes_without_extent_give_finite_masks():
  masks = _masks(2, 4, 4)
  boxes = tf.constant([[5.0, 5, 5, 9], [0, 0, 0, 0]])
  found = moved_masks.move(masks, boxes, tf.constant([[4.0, 4, 8, 8], [0, 0, 0, 0]]), 4).numpy()
  assert np.all(np.isfinite(found))
  # All cells sample the middle of the mask along the axis without extent.
  np.testing.assert_allclose(found[1], np.full([4, 4], masks[1, 1:3, 1:3].mean()), rtol=1e-5)


def test_no_masks_give_no_masks():
  assert moved_masks.move(tf.zeros([0, 4, 4]), tf.zeros([0, 4]), tf.zeros([0, 4]), 6).shape == (
    0,
    6,
    6,
  )
