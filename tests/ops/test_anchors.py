"""Tests of the anchors against stored reference arrays and a hand-computed case."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import anchors as anchor_ops
from parity.pack import EXTRACT

_LEVELS = ('2', '3', '4', '5', '6')
_SHAPES = {'2': (56, 80), '3': (28, 40), '4': (14, 20), '5': (7, 10), '6': (4, 5)}


@pytest.fixture(scope='module', name='reference')
def _reference():
  with np.load(EXTRACT / 'ops.npz') as arrays:
    return {key: arrays[key] for key in arrays.files if key.startswith('anchors/')}


@pytest.mark.parametrize('level', _LEVELS)
def test_anchors_equal_the_reference(reference, level):
  anchors = anchor_ops.generate_anchors(_SHAPES)[level]
  np.testing.assert_array_equal(anchors, reference[f'anchors/P{level}'][:, [1, 0, 3, 2]])


@pytest.mark.parametrize('level', _LEVELS)
def test_anchors_inside_the_image_equal_the_reference(reference, level):
  anchors = anchor_ops.generate_anchors(_SHAPES)[level]
  shapes = tf.stack([reference['anchors/image_size_hw'], [0, 0]])
  inside = anchor_ops.inside_image(anchors, shapes)
  np.testing.assert_array_equal(inside[0], reference[f'anchors/inside_P{level}'])
  assert not np.any(inside[1])


def test_the_map_size_may_be_unknown_when_traced():
  @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1])], autograph=False)
  def anchors_of(feature):
    shape = tf.shape(feature)
    return anchor_ops.generate_anchors({'3': (shape[1], shape[2])})['3']

  expected = anchor_ops.generate_anchors({'3': (2, 3)})['3']
  np.testing.assert_array_equal(anchors_of(tf.zeros([1, 2, 3, 1])), expected)


def test_center_offset_and_aspect_ratio_by_hand():
  anchors = anchor_ops.generate_anchors(
    {'2': (1, 2)}, scale=2.0, aspect_ratios=(4.0,), center_offset=0.5
  )['2']
  np.testing.assert_array_equal(anchors, [[-6, 0, 10, 4], [-6, 4, 10, 8]])


def test_centers_count_up_to_the_rounded_size_of_each_image():
  centers = [[0, 0], [31, 63], [32, 0], [0, 64]]
  anchors = tf.constant([[y - 90.0, x - 90.0, y + 90.0, x + 90.0] for y, x in centers])
  sizes = tf.constant([[10.0, 33.0], [32.0, 64.0], [33.0, 65.0]])
  np.testing.assert_array_equal(
    anchor_ops.centered_inside(anchors, sizes), [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
  )


def test_the_far_edges_of_the_image_are_exclusive():
  anchors = tf.constant([[0.0, 0.0, 10.0, 19.9], [0.0, 0.0, 9.9, 19.9], [-0.1, 0.0, 5.0, 5.0]])
  np.testing.assert_array_equal(
    anchor_ops.inside_image(anchors, tf.constant([[10.0, 20.0]])), [[False, True, False]]
  )
