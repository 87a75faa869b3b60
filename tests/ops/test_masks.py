"""Tests of bit packing and of the targets of the mask head."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import masks as mask_ops
from parity.pack import EXTRACT

_traced_targets = tf.function(mask_ops.mask_targets, autograph=False)
_compiled_targets = tf.function(mask_ops.mask_targets, jit_compile=True, autograph=False)


@pytest.fixture(scope='module', name='reference')
def _reference():
  with np.load(EXTRACT / 'ops.npz') as arrays:
    return {key[12:]: arrays[key] for key in arrays.files if key.startswith('mask_target/')}


def test_packing_equals_that_of_numpy():
  masks = np.random.default_rng(0).integers(0, 3, size=(2, 3, 5, 24)).astype(np.uint8)
  packed = mask_ops.pack_bits(masks)
  np.testing.assert_array_equal(packed, np.packbits(masks > 0, axis=-1))
  np.testing.assert_array_equal(mask_ops.unpack_bits(packed), masks > 0)


def test_packing_in_a_data_pipeline():
  masks = np.random.default_rng(1).integers(0, 2, size=(4, 5, 16)).astype(np.uint8)
  data = tf.data.Dataset.from_tensor_slices(masks)
  for function in (mask_ops.pack_bits, mask_ops.unpack_bits):
    data = data.map(tf.autograph.experimental.do_not_convert(function))
  np.testing.assert_array_equal(np.stack(list(data.as_numpy_iterator())), masks)


@pytest.mark.parametrize('function', [mask_ops.mask_targets, _traced_targets, _compiled_targets])
def test_targets_equal_the_reference(reference, function):
  targets = function(
    np.packbits(reference['masks'], axis=-1)[None],
    reference['boxes'][None, :, [1, 0, 3, 2]],
    reference['mask_indices'][None].astype(np.int32),
    np.array([[96.0, 128.0]], np.float32),
  )
  different = targets[0].numpy() != reference['targets']
  near_threshold = np.abs(reference['before_threshold'] - 0.5) < 1e-5
  assert not np.any(different & ~near_threshold)


@pytest.mark.parametrize('stage', [0, 1, 2])
def test_targets_of_a_training_step_equal_the_reference(stage):
  """The masks are padded to the size of the batch, but samples end at the border of the image."""
  with np.load(EXTRACT / 'training_step.npz') as arrays:
    step = dict(arrays)
  rois, gt_index = step[f'stage{stage}/mask_rois'], step[f'stage{stage}/mask_gt_index']
  expected = np.unpackbits(step[f'stage{stage}/mask_targets_packed'], axis=-1)
  for image in range(2):
    rows = rois[:, 0] == image
    targets = _traced_targets(
      step[f'gt_image{image}_masks_padded_packed'][None],
      rois[None, rows][..., [2, 1, 4, 3]],
      gt_index[None, rows].astype(np.int32),
      step['image_sizes_hw'][None, image].astype(np.float32),
    )
    np.testing.assert_array_equal(targets[0], expected[rows].reshape(-1, 28, 28))


@pytest.mark.parametrize('function', [mask_ops.mask_targets, _compiled_targets])
def test_padding_and_boxes_outside_the_image_give_zeros(function):
  packed = np.full([2, 1, 16, 2], 255, np.uint8)
  boxes = np.array([[[-1] * 4, [2, 2, 12, 12]], [[20, 3, 30, 9], [-1] * 4]], np.float32)
  targets = function(
    packed, boxes, np.zeros([2, 2], np.int32), np.full([2, 2], 16, np.float32), size=4
  )
  np.testing.assert_array_equal(np.mean(targets, axis=(2, 3)), [[0, 1], [0, 0]])


@pytest.mark.parametrize('num_rois, num_gt', [(0, 2), (0, 0), (3, 0)])
def test_without_rois_or_instances_targets_are_empty_or_zero(num_rois, num_gt):
  targets = _traced_targets(
    tf.zeros([1, num_gt, 16, 2], tf.uint8),
    tf.fill([1, num_rois, 4], -1.0),
    tf.zeros([1, num_rois], tf.int32),
    tf.constant([[16.0, 16.0]]),
    size=28,
  )
  assert targets.shape == (1, num_rois, 28, 28)
  assert not np.any(targets)


def test_extents_and_areas_of_packed_masks_are_those_of_numpy():
  masks = np.random.default_rng(4).random([6, 19, 24]) < 0.03
  masks[2] = False
  masks[3] = np.eye(19, 24, dtype=bool)
  masks[4] = True
  packed = mask_ops.pack_bits(tf.constant(masks.astype(np.uint8)))
  expected = np.zeros([6, 4])
  for box, mask in zip(expected, masks):
    rows, columns = np.nonzero(mask)
    if rows.size:
      box[:] = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
  np.testing.assert_array_equal(mask_ops.packed_extents(packed), expected)
  np.testing.assert_array_equal(mask_ops.packed_areas(packed), masks.sum((1, 2)))
  assert mask_ops.packed_extents(packed[:0]).shape == (0, 4)
