"""Tests of the COCO result records."""

import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_results

# A picture of 40x60 scaled to 60x120: 1.5 along y, 2 along x.
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


def test_records_are_in_original_pixels_and_carry_category_ids():
  results = coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18, 44])
  assert [result['category_id'] for result in results] == [44, 18]
  assert [result['score'] for result in results] == [np.float32(0.9), 0.25]
  assert all(result['image_id'] == 7 for result in results)
  assert results[0]['bbox'] == [10, 10, 40, 20]
  np.testing.assert_allclose(results[1]['bbox'], [30, 20, 30, 20])  # clipped to the picture


def test_masks_fill_their_boxes_on_the_original_picture():
  first, second = coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18, 44])
  assert first['segmentation']['size'] == [40, 60]
  assert mask_utils.toBbox(first['segmentation']).tolist() == [10, 10, 40, 20]
  assert mask_utils.area(second['segmentation']) == 600


def test_padding_rows_and_masks_can_be_absent():
  detections = _detections(1, masks=False)
  results = coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])
  assert len(results) == 1
  assert set(results[0]) == {'image_id', 'category_id', 'bbox', 'score'}
  assert coco_results.detections_to_results(_detections(0), _IMAGE_INFO, 7, [18, 44]) == []


def test_class_without_category_is_refused():
  with pytest.raises(DataError, match=r'classes 1 to 1.*Got: 2.*num_classes'):
    coco_results.detections_to_results(_detections(), _IMAGE_INFO, 7, [18])
  detections = _detections(3)
  with pytest.raises(DataError, match='Got: 0'):
    coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])


@pytest.mark.parametrize('key', ['detection_boxes', 'detection_scores'])
@pytest.mark.parametrize('masks', [False, True])
def test_nan_is_found_in_valid_rows_and_passed_over_in_padding(key, masks):
  detections = _detections(masks=masks)
  detections[key][2] = np.nan
  assert len(coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])) == 2
  detections[key][1] = np.nan
  with pytest.raises(InputError, match='finite boxes'):
    coco_results.detections_to_results(detections, _IMAGE_INFO, 7, [18, 44])


def test_missing_entries_and_impossible_counts_are_refused():
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
