"""Tests of the box arithmetic against stored reference arrays and hand-computed cases."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import boxes as box_ops
from parity.pack import EXTRACT

_CODERS = ('rpn', 'stage0', 'stage1', 'stage2')
_SWAP = [1, 0, 3, 2]  # xyxy to yxyx and back


@pytest.fixture(scope='module', name='reference')
def _reference():
  with np.load(EXTRACT / 'ops.npz') as arrays:
    return {key: arrays[key] for key in arrays.files if key.startswith('box_coder/')}


def _coder(reference, name):
  """RoIs, weights and a function that returns an array by key, all in yx order."""

  def get(key):
    return reference[f'box_coder/{key}'][..., _SWAP]

  return get('rois'), tuple(1.0 / get(f'{name}_stds')), get


def test_padding_and_reversed_boxes_have_no_area():
  areas = box_ops.area([[1.0, 2.0, 4.0, 6.0], [-1.0] * 4, [5.0, 5.0, 2.0, 1.0]])
  np.testing.assert_array_equal(areas, [12.0, 0.0, 0.0])


def test_iou_by_hand():
  boxes = tf.constant([[[0, 0, 2, 2], [-1, -1, -1, -1], [3, 3, 3, 9]]], tf.bfloat16)
  others = tf.constant([[[0, 0, 2, 2], [1, 1, 3, 3], [0, 1, 2, 3], [-1, -1, -1, -1]]], tf.float32)
  iou = box_ops.pairwise_iou(boxes, others)
  assert iou.dtype == tf.float32
  np.testing.assert_allclose(iou[0], [[1, 1 / 7, 1 / 3, 0], [0] * 4, [0] * 4], rtol=1e-6)


@pytest.mark.parametrize('num, num_others', [(0, 3), (2, 0), (0, 0)])
def test_iou_without_boxes_is_empty(num, num_others):
  iou = box_ops.pairwise_iou(tf.zeros([2, num, 4]), tf.zeros([2, num_others, 4]))
  assert iou.shape == (2, num, num_others)


@pytest.mark.parametrize('name', _CODERS)
def test_encode_equals_the_reference(reference, name):
  rois, weights, get = _coder(reference, name)
  rows = reference['box_coder/encode_rows']
  encoded = box_ops.encode(get('gts')[rows], rois[rows], weights)
  np.testing.assert_allclose(encoded, get(f'{name}_encoded'), rtol=0, atol=2e-6)


@pytest.mark.parametrize('name', _CODERS)
def test_decode_and_clip_equal_the_reference(reference, name):
  rois, weights, get = _coder(reference, name)
  decoded = box_ops.decode(get('deltas'), rois, weights)
  np.testing.assert_allclose(decoded, get(f'{name}_decoded'), rtol=1e-6, atol=1e-4)
  clipped = box_ops.clip(decoded[None], reference['box_coder/image_size_hw'][None])[0]
  np.testing.assert_allclose(clipped, get(f'{name}_decoded_clipped'), rtol=0, atol=1e-4)


def test_decode_inverts_encode():
  rng = np.random.default_rng(0)
  corners = rng.uniform(0, 50, size=(2, 20, 2))
  boxes, anchors = np.concatenate([corners, corners + rng.uniform(5, 60, size=(2, 20, 2))], axis=-1)
  weights = (10.0, 10.0, 5.0, 5.0)
  decoded = box_ops.decode(box_ops.encode(boxes, anchors, weights), anchors, weights)
  np.testing.assert_allclose(decoded, boxes, atol=1e-4)


def test_decode_clips_small_scales_only_on_request():
  deltas, anchors = tf.constant([[0.0, 0.0, -10.0, 10.0]]), tf.constant([[0.0, 0.0, 16.0, 16.0]])
  both = box_ops.box_sizes(box_ops.decode(deltas, anchors, (1, 1, 1, 1)))
  above = box_ops.box_sizes(box_ops.decode(deltas, anchors, (1, 1, 1, 1), clip_below=False))
  np.testing.assert_allclose(both[0], [16 * 16 / 1000, 1000.0], rtol=1e-4)
  np.testing.assert_allclose(above[0], [16 * np.exp(-10.0), 1000.0], rtol=1e-2)


def test_clip_uses_the_shape_of_each_image():
  boxes = tf.tile(tf.constant([[[-5.0, -5.0, 500.0, 500.0]]]), [2, 1, 1])
  clipped = box_ops.clip(boxes, [[10, 20], [30, 40]])
  np.testing.assert_array_equal(clipped[:, 0], [[0, 0, 10, 20], [0, 0, 30, 40]])


def test_only_rows_of_minus_one_are_padding():
  boxes = [[-1.0] * 4, [-1.0, -1.0, -1.0, 3.0], [0.0] * 4]
  np.testing.assert_array_equal(box_ops.is_padding(boxes), [True, False, False])
