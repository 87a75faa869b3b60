"""Tests of COCO results."""

import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_results

# An image of 40x60 resized to 60x120: by 1.5 along y, by 2 along x.
_IMAGE_INFO = np.array([[40, 60], [60, 120], [1.5, 2], [0, 0]], np.float32)


def _detections(num_detections=2, masks=True):
  """Two valid rows and one of padding."""
  detections = {
    'detection_boxes': np.array([[15, 20, 45, 100], [30, 60, 70, 130], [0, 0, 0, 0]], np.float32),
    'detection_scores': np.array([0.9, 0.25, 0], np.float32),
    'detection_classes': np.array([2, 1, 0], np.int32),
    'num_detections': np.int32(num_detections),
  }
  if masks:
    detections['detection_masks'] = np.ones((3, 28, 28), np.float32)
  return detections


def test_results_are_in_original_pixels_and_have_category_ids():
  results = coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18, 44])
  assert [result['category_id'] for result in results] == [44, 18]
  assert [result['score'] for result in results] == [np.float32(0.9), 0.25]
  assert all(result['image_id'] == 7 for result in results)
  assert results[0]['bbox'] == [10, 10, 40, 20]
  np.testing.assert_allclose(results[1]['bbox'], [30, 20, 30, 20])  # clipped to the image


def test_masks_fill_their_boxes_on_the_original_image():
  first, second = coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18, 44])
  assert first['segmentation']['size'] == [40, 60]
  assert mask_utils.toBbox(first['segmentation']).tolist() == [10, 10, 40, 20]
  assert mask_utils.area(second['segmentation']) == 600


def test_boxes_of_a_crop_are_moved_by_its_offset_and_clipped_to_the_image():
  # An image of 50x80 resized to 100x320, of which a crop starts at row 10 and column 20.
  image_info = np.array([[50, 80], [60, 200], [2, 4], [10, 20]], np.float32)
  boxes = np.array([[0, 0, 60, 200], [30, 40, 50, 100], [-30, -40, 100, 320]], np.float32)
  boxes_original = coco_results.boxes_to_original(boxes, image_info)
  # By hand: y = (y + 10) / 2 and x = (x + 20) / 4; the last box is -10, -5, 55, 85 before clipping.
  expected = [[5, 5, 35, 55], [20, 15, 30, 30], [0, 0, 50, 80]]
  np.testing.assert_array_equal(boxes_original, expected)


def test_padding_rows_are_skipped_and_masks_are_optional():
  detections = _detections(1, masks=False)
  results = coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])
  assert len(results) == 1
  assert set(results[0]) == {'image_id', 'category_id', 'bbox', 'score'}
  assert coco_results.detections_to_results(_detections(0), _IMAGE_INFO, 7, [18, 44]) == []


def test_a_class_without_category_is_rejected():
  with pytest.raises(DataError, match=r'classes 1 to 1.*Got: 2.*num_classes'):
    coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18])
  detections = _detections(3)
  with pytest.raises(DataError, match='Got: 0'):
    coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])


@pytest.mark.parametrize('key', ['detection_boxes', 'detection_scores'])
@pytest.mark.parametrize('masks', [False, True])
def test_nan_is_rejected_in_valid_rows_and_ignored_in_padding(key, masks):
  detections = _detections(masks=masks)
  detections[key][2] = np.nan
  assert len(coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])) == 2
  detections[key][1] = np.nan
  with pytest.raises(InputError, match='finite boxes'):
    coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])


def test_missing_entries_and_impossible_counts_are_rejected():
  with pytest.raises(InputError, match='num_detections from 0 to 3'):
    coco_results.detections_to_results(_detections(4), _IMAGE_INFO, 7, [18, 44])
  detections = _detections()
  del detections['detection_scores']
  with pytest.raises(InputError, match='no detection_scores'):
    coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])


def test_written_file_holds_the_same_numbers(tmp_path):
  results = coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18, 44])
  coco_results.write_results(tmp_path / 'results.json', results)
  assert json.loads((tmp_path / 'results.json').read_text()) == results
  assert list(tmp_path.iterdir()) == [tmp_path / 'results.json']
