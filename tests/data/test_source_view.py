"""Tests of views of stored images, against NumPy slicing."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.source_view import SourceView

STORED = tf.constant([24, 40])
REGION = tf.constant([3, 8, 12, 20])
PART = (slice(3, 15), slice(8, 28))


@pytest.mark.parametrize('shape', [(24, 40), (24, 40, 3), (24, 40, 5)])
@pytest.mark.parametrize('region', [None, REGION])
@pytest.mark.parametrize('transpose', [False, True])
def test_a_part_is_cut_out_and_transposed(shape, region, transpose):
  pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
  view = SourceView(region, tf.constant(transpose))
  expected = pixels if region is None else pixels[PART]
  expected = expected.swapaxes(0, 1) if transpose else expected
  taken = view.take(tf.constant(pixels))
  np.testing.assert_array_equal(taken, expected)
  assert view.size(STORED).numpy().tolist() == list(expected.shape[:2])


def test_without_part_and_turn_nothing_is_computed():
  pixels, boxes = tf.zeros([24, 40, 3]), tf.zeros([2, 4])
  view = SourceView()
  assert view.take(pixels) is pixels
  assert view.take_boxes(boxes, STORED) is boxes
  assert view.size(STORED) is STORED


@pytest.mark.parametrize('transpose', [False, True])
def test_boxes_become_relative_to_the_part(transpose):
  boxes = tf.constant([[3 / 24, 8 / 40, 9 / 24, 13 / 40], [0.0, 0.0, 1.0, 1.0]])
  view = SourceView(REGION, tf.constant(transpose))
  expected = np.array([[0, 0, 0.5, 0.25], [-3 / 12, -8 / 20, 21 / 12, 32 / 20]])
  expected = expected[:, [1, 0, 3, 2]] if transpose else expected
  np.testing.assert_allclose(view.take_boxes(boxes, STORED), expected, atol=1e-6)
