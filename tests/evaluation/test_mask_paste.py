"""Tests of mask pasting against reference arrays, a plain loop, and pycocotools' encoding."""

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from htc_tf.data import mask_codec
from htc_tf.errors import InputError
from htc_tf.evaluation import mask_paste
from parity.pack import EXTRACT

_REFERENCE = EXTRACT / 'mask_paste.npz'


@pytest.fixture(scope='module', name='reference')
def _reference():
  with np.load(_REFERENCE) as arrays:
    reference = dict(arrays)
  reference['boxes_yxyx'] = reference['boxes'][:, [1, 0, 3, 2]]
  reference['image_hw'] = tuple(reference['image_size_hw'].tolist())
  return reference


def _random_instances(num, image_hw, seed=0, mask_hw=(28, 28)):
  """Random probabilities, in boxes that partly extend beyond the image."""
  rng = np.random.default_rng(seed)
  probs = rng.uniform(size=(num, *mask_hw)).astype(np.float32)
  corners = rng.uniform(-0.3, 1.3, size=(num, 2, 2)) * image_hw  # [num, corner, yx]
  boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
  return probs, boxes.astype(np.float32)


def _paste_by_loop(probs, box, image_hw):
  """Bilinear sampling at pixel centers, one pixel and one cell at a time."""
  y_min, x_min, y_max, x_max = box.astype(np.float64)
  values = np.zeros(image_hw)
  for row, column in np.ndindex(*image_hw):
    y = (row + 0.5 - y_min) / (y_max - y_min) * probs.shape[0] - 0.5
    x = (column + 0.5 - x_min) / (x_max - x_min) * probs.shape[1] - 0.5
    for cell_y in (int(np.floor(y)), int(np.floor(y)) + 1):
      for cell_x in (int(np.floor(x)), int(np.floor(x)) + 1):
        if 0 <= cell_y < probs.shape[0] and 0 <= cell_x < probs.shape[1]:
          weight = (1 - abs(y - cell_y)) * (1 - abs(x - cell_x))
          values[row, column] += weight * probs[cell_y, cell_x]
  return values


def test_values_equal_the_published_implementation(reference):
  values = mask_paste.paste_mask_values(
    reference['probs'], reference['boxes_yxyx'], reference['image_hw']
  )
  assert values.dtype == np.float32
  np.testing.assert_allclose(values, reference['values'], atol=5e-6)


def test_masks_equal_the_published_implementation(reference):
  masks = mask_paste.paste_masks(reference['probs'], reference['boxes_yxyx'], reference['image_hw'])
  assert masks.dtype == bool
  np.testing.assert_array_equal(masks, reference['masks'])


def test_values_equal_a_plain_loop_on_masks_that_are_not_square():
  probs, boxes = _random_instances(6, (13, 17), mask_hw=(5, 3))
  values = mask_paste.paste_mask_values(probs, boxes, (13, 17))
  for pasted, prob, box in zip(values, probs, boxes):
    np.testing.assert_allclose(pasted, _paste_by_loop(prob, box, (13, 17)), atol=1e-5)


def test_with_one_cell_per_pixel_the_values_are_the_mask():
  probs = np.random.default_rng(0).uniform(size=(1, 28, 28)).astype(np.float32)
  values = mask_paste.paste_mask_values(probs, np.array([[2, 3, 30, 31]]), (40, 50))
  expected = np.zeros((40, 50), np.float32)
  expected[2:30, 3:31] = probs[0]
  np.testing.assert_allclose(values[0], expected, atol=1e-6)


@pytest.mark.parametrize('threshold', [0.2, 0.5, 0.9])
@pytest.mark.parametrize('image_hw', [(1, 1), (1, 9), (7, 1), (31, 45)])
def test_encoding_equals_pycocotools_on_the_pasted_masks(image_hw, threshold):
  probs, boxes = _random_instances(20, image_hw, seed=1)
  masks = mask_paste.paste_masks(probs, boxes, image_hw, threshold)
  rles = mask_paste.encode_masks(probs, boxes, image_hw, threshold)
  for mask, rle in zip(masks, rles):
    expected = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle == {'size': list(image_hw), 'counts': expected['counts'].decode('ascii')}


@pytest.mark.parametrize(
  'box',
  [(-50, -50, 90, 90), (-9, -9, -5, -5), (40, 40, 60, 60)],
  ids=['covers the image', 'above and left of it', 'below and right of it'],
)
def test_full_and_empty_masks_are_encoded(box):
  probs, boxes = np.ones((1, 28, 28), np.float32), np.array([box], np.float32)
  (rle,) = mask_paste.encode_masks(probs, boxes, (20, 30))
  expected = 600 if box[0] == -50 else 0
  assert mask_utils.area(rle) == expected
  (mask,) = mask_paste.paste_masks(probs, boxes, (20, 30))
  np.testing.assert_array_equal(mask_codec.decode(rle), mask)


def test_in_a_box_without_width_pixels_sample_the_middle_of_the_mask():
  probs = np.zeros((1, 28, 28), np.float32)
  probs[:, :, 13:15] = 0.8
  values = mask_paste.paste_mask_values(probs, np.array([[0, 4, 28, 4]]), (28, 9))
  np.testing.assert_allclose(values, 0.8, atol=1e-6)


def test_a_pixel_center_on_a_box_without_width_is_outside():
  probs, boxes = np.ones((1, 28, 28)), np.array([[0, 4.5, 28, 4.5]])
  values = mask_paste.paste_mask_values(probs, boxes, (28, 9))
  np.testing.assert_array_equal(values[0, :, 4], 0)
  assert values[0, :, 5].max() > 0


def test_a_probability_equal_to_the_threshold_belongs_to_the_object():
  probs, boxes = np.full((1, 28, 28), 0.5, np.float32), np.array([[2, 3, 30, 31]])
  assert mask_paste.paste_masks(probs, boxes, (40, 50)).sum() == 28 * 28
  (rle,) = mask_paste.encode_masks(probs, boxes, (40, 50))
  assert mask_utils.area(rle) == 28 * 28


def test_no_instances_give_empty_results():
  probs, boxes = np.zeros((0, 28, 28), np.float32), np.zeros((0, 4), np.float32)
  assert mask_paste.encode_masks(probs, boxes, (4, 5)) == []
  assert mask_paste.paste_masks(probs, boxes, (4, 5)).shape == (0, 4, 5)
  assert mask_paste.paste_mask_values(probs, boxes, (4, 5)).shape == (0, 4, 5)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_boxes_that_are_not_finite_are_rejected_with_their_row(value):
  probs, boxes = _random_instances(3, (10, 10))
  boxes[2, 1] = value
  for function in (mask_paste.encode_masks, mask_paste.paste_masks, mask_paste.paste_mask_values):
    with pytest.raises(InputError, match=r'finite boxes.*row 2'):
      function(probs, boxes, (10, 10))


def test_probabilities_that_are_not_finite_are_rejected():
  probs, boxes = _random_instances(3, (10, 10))
  probs[1, 4, 4] = np.nan
  with pytest.raises(InputError, match=r'finite mask probabilities.*row 1'):
    mask_paste.encode_masks(probs, boxes, (10, 10))


@pytest.mark.parametrize(
  'probs_shape, boxes_shape', [((2, 28), (2, 4)), ((2, 28, 28), (3, 4)), ((2, 28, 28), (2, 5))]
)
def test_shapes_that_do_not_fit_are_rejected(probs_shape, boxes_shape):
  with pytest.raises(InputError, match='num, height, width'):
    mask_paste.encode_masks(np.zeros(probs_shape), np.zeros(boxes_shape), (10, 10))


def test_threshold_and_image_size_are_checked():
  probs, boxes = _random_instances(1, (10, 10))
  for threshold in (0, -1, float('nan'), 5, '0.5', None):
    with pytest.raises(InputError, match='threshold above 0'):
      mask_paste.encode_masks(probs, boxes, (10, 10), threshold=threshold)
    with pytest.raises(InputError, match='threshold above 0'):
      mask_paste.paste_masks(probs, boxes, (10, 10), threshold=threshold)
  with pytest.raises(InputError, match='at least one pixel'):
    mask_paste.encode_masks(probs, boxes, (0, 10))
