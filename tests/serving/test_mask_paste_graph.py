"""Tests of mask pasting in a graph against mask pasting with NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.evaluation import mask_paste
from htc_tf.serving import mask_paste_graph

_paste = tf.function(mask_paste_graph.paste_masks, autograph=False, reduce_retracing=True)


def _random_batch(batch, num, sizes, seed=0):
  rng = np.random.default_rng(seed)
  probs = rng.uniform(0, 1, (batch, num, 28, 28)).astype(np.float32)
  corners = rng.uniform(-0.2, 1.2, (batch, num, 2, 2)) * np.array(sizes)[:, None, None]
  boxes = np.sort(corners, axis=2).reshape(batch, num, 4).astype(np.float32)
  return probs, boxes, np.array(sizes, np.int32)


def _expected(probs, boxes, sizes):
  height, width = sizes.max(0)
  masks = np.zeros((*probs.shape[:2], height, width), np.uint8)
  for row, (image_height, image_width) in enumerate(sizes):
    masks[row, :, :image_height, :image_width] = mask_paste.paste_masks(
      probs[row], boxes[row], (image_height, image_width)
    )
  return masks


@pytest.mark.parametrize('sizes', [[(120, 90)], [(37, 61), (80, 20), (1, 1)]])
def test_masks_equal_those_of_the_evaluation(sizes):
  probs, boxes, sizes = _random_batch(len(sizes), 30, sizes)
  full = _paste(probs, boxes, sizes, packed=False).numpy()
  expected = _expected(probs, boxes, sizes)
  assert full.dtype == np.uint8 and full.shape == expected.shape
  assert 0.01 < expected.mean() < 0.99
  assert (full != expected).mean() <= 1e-5


@pytest.mark.parametrize('width', [1, 8, 61, 64])
def test_packed_masks_are_packed_as_by_numpy(width):
  probs, boxes, sizes = _random_batch(2, 5, [(20, width), (33, max(1, width - 3))])
  packed = _paste(probs, boxes, sizes, packed=True).numpy()
  full = _paste(probs, boxes, sizes, packed=False).numpy()
  np.testing.assert_array_equal(packed, np.packbits(full, axis=-1))


def test_a_mask_of_two_by_two_cells_equals_the_hand_computed_one():
  # 2x2 cells in the box 0..4 have their centers at 1 and 3. At the pixel centers 0.5, 1.5, 2.5 and
  # 3.5, the weights of the left column are 3/4 (the rest is outside), 3/4, 1/4 and 0; those of both
  # rows together are 3/4, 1, 1 and 3/4. The values are therefore at least 3/4 * 3/4 in the first
  # two pixel columns and at most 1/4 elsewhere.
  probs = np.array([[[[1, 0], [1, 0]]]], np.float32)
  box = np.array([[[0, 0, 4, 4]]], np.float32)
  full = _paste(probs, box, np.array([[4, 5]], np.int32), packed=False).numpy()
  np.testing.assert_array_equal(full[0, 0], [[1, 1, 0, 0, 0]] * 4)


@pytest.mark.parametrize(
  'box',
  [
    (10, 5, 10, 30),
    (10, 5, 30, 5),
    (0, 0, 0, 0),
    (7.5, 7.5, 7.5, 9),
    (100, 100, 120, 120),
    (-30, -30, -10, -10),
    (0, 0, 40, 50),
  ],
)
def test_boxes_without_extent_or_outside_are_pasted_as_in_the_evaluation(box):
  probs = np.full((1, 1, 28, 28), 0.9, np.float32)
  boxes = np.array([[box]], np.float32)
  sizes = np.array([[40, 50]], np.int32)
  np.testing.assert_array_equal(
    _paste(probs, boxes, sizes, packed=False), _expected(probs, boxes, sizes)
  )


def test_padding_rows_stay_empty():
  full = _paste(
    np.zeros((2, 3, 28, 28), np.float32),
    np.zeros((2, 3, 4), np.float32),
    np.array([[16, 16], [8, 24]], np.int32),
    packed=False,
  )
  assert full.shape == (2, 3, 16, 24) and not full.numpy().any()
