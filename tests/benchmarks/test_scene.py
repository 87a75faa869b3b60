"""Tests of the synthetic inputs of both sides."""

import numpy as np
import pytest

from benchmarks import scene

_SIZES = scene.SceneSizes.parse('96x160')


def test_sizes_must_be_multiples_of_32():
  assert scene.SceneSizes.parse('800x1344') == ((800, 1344), (800, 1333), (480, 800))
  for text in ('800x1333', '0x32', '32'):
    with pytest.raises(ValueError, match='must consist of multiples of 32'):
      scene.SceneSizes.parse(text)


def test_the_padding_is_zero_and_the_image_is_not():
  padded = scene.network_input(_SIZES)
  assert padded.shape == (96, 160, 3) and padded.dtype == np.float32
  assert np.all(padded[:, 149:] == 0) and padded[:, :149].std() > 0.3
  np.testing.assert_array_equal(padded, scene.network_input(_SIZES))


def test_boxes_lie_within_the_image_and_differ_in_size():
  boxes = scene.boxes(_SIZES, 300)
  assert boxes.min() >= 0 and np.all(boxes[:, 2:] <= np.array([96, 149]) + 1e-3)
  sides = boxes[:, 2:] - boxes[:, :2]
  assert sides.min() > 5 and sides.max() > 70


def test_masks_of_the_ground_truth_fill_their_boxes():
  ground_truth = scene.ground_truth(_SIZES, 5)
  areas = np.prod(ground_truth.boxes[:, 2:] - ground_truth.boxes[:, :2], axis=1)
  np.testing.assert_array_equal(ground_truth.masks.sum(axis=(1, 2)), areas)
  assert ground_truth.masks.shape == (5, 96, 160) and ground_truth.semantic.shape == (96, 160)


def test_annotations_coincide_with_detections():
  annotations = scene.annotations(_SIZES, 2)
  assert [image['id'] for image in annotations['images']] == [1, 2]
  assert len(annotations['annotations']) == 14
  found = scene.detections(_SIZES, 2)
  top, left, *_ = found.boxes[0] * np.tile(np.divide(_SIZES.original, _SIZES.image), 2)
  item = annotations['annotations'][7]
  np.testing.assert_allclose(item['bbox'][:2], [left, top], rtol=1e-6)
  assert item['category_id'] == found.labels[0] + 1
