"""Tests of the evaluation in parts by category against one COCOeval over all categories."""

import numpy as np
import pytest
from pycocotools import cocoeval

from htc_tf import processes
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import mask_paste, matching

_IMAGE_HW = (60, 80)
_CATEGORY_IDS = [7, 2, 30, 11, 5]  # not sorted; 11 has no objects, 5 has no detections


class _PoolInThisProcess(processes.WorkerPool):
  """A pool that reports several workers, but calls functions in this process."""

  def __init__(self, num_workers):
    super().__init__(1)
    self.num_workers = num_workers


def _instances(rng, num, categories):
  """Random boxes, masks and categories as COCO fields."""
  low = rng.uniform(0, 0.6, (num, 2)) * _IMAGE_HW
  boxes = np.concatenate([low, low + rng.uniform(5, 30, (num, 2))], axis=1)
  probs = rng.uniform(0.3, 1, (num, 28, 28))
  return [
    {
      'category_id': int(rng.choice(categories)),
      'segmentation': rle,
      'bbox': [box[1], box[0], box[3] - box[1], box[2] - box[0]],
    }
    for box, rle in zip(boxes.tolist(), mask_paste.encode_masks(probs, boxes, _IMAGE_HW))
  ]


def _data(num_images=6):
  """Annotations, and results that partly equal them and often have equal scores."""
  rng = np.random.default_rng(0)
  images = [
    {'id': 40 - index, 'height': _IMAGE_HW[0], 'width': _IMAGE_HW[1]} for index in range(num_images)
  ]
  annotations, results = [], []
  for image in images:
    objects = _instances(rng, 8, [7, 2, 30, 5])
    found = [item for item in objects if item['category_id'] != 5][:5]
    found += _instances(rng, 6, [7, 2, 30, 11])
    annotations += [
      {
        **item,
        'image_id': image['id'],
        'iscrowd': int(rng.uniform() < 0.1),
        'area': item['bbox'][2] * item['bbox'][3],
      }
      for item in objects
    ]
    results += [
      {**item, 'image_id': image['id'], 'score': float(rng.integers(1, 5)) / 5} for item in found
    ]
  for number, annotation in enumerate(annotations, start=1):
    annotation['id'] = number
  categories = [{'id': category, 'name': str(category)} for category in [*_CATEGORY_IDS, 99]]
  return {'images': images, 'annotations': annotations, 'categories': categories}, results


def _evaluate_all(ground_truth, results, iou_type, max_detections):
  with ground_truth_lib.silence():
    found = ground_truth.loadRes(matching.matched_fields(results, iou_type))
    evaluation = cocoeval.COCOeval(ground_truth, found, iou_type)
    evaluation.params.catIds = list(_CATEGORY_IDS)
    evaluation.params.maxDets = sorted({1, 10, 100, max_detections})
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation


@pytest.fixture(scope='module', name='coco_data')
def _coco_data():
  dataset, results = _data()
  return ground_truth_lib.index(dataset), results


@pytest.mark.parametrize('num_parts', [1, 2, 3, 9])
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('max_detections', [3, 100, 300])
def test_parts_equal_one_evaluation_exactly(coco_data, max_detections, iou_type, num_parts):
  ground_truth, results = coco_data
  expected = _evaluate_all(ground_truth, results, iou_type, max_detections)
  actual = matching.evaluate(
    ground_truth, results, _CATEGORY_IDS, iou_type, max_detections, _PoolInThisProcess(num_parts)
  )
  assert 0.1 < expected.eval['precision'][0, :, 0, 0, -1].mean() < 0.9
  for name in ('precision', 'recall'):
    np.testing.assert_array_equal(actual.eval[name], expected.eval[name])
  for name in ('catIds', 'maxDets', 'imgIds', 'areaRngLbl'):
    assert list(getattr(actual.params, name)) == list(getattr(expected.params, name))


def test_processes_give_the_results_of_one_process(coco_data):
  ground_truth, results = coco_data
  workers = processes.WorkerPool(2)
  actual = matching.evaluate(ground_truth, results, _CATEGORY_IDS, 'segm', 3, workers)
  workers.close()
  expected = matching.evaluate(
    ground_truth, results, _CATEGORY_IDS, 'segm', 3, processes.WorkerPool(1)
  )
  for name in ('precision', 'recall'):
    np.testing.assert_array_equal(actual.eval[name], expected.eval[name])


def test_without_results_the_recall_is_zero(coco_data):
  ground_truth, _ = coco_data
  evaluation = matching.evaluate(
    ground_truth, [], _CATEGORY_IDS, 'bbox', 100, _PoolInThisProcess(2)
  )
  recall = evaluation.eval['recall'][0, :, 0, -1]
  np.testing.assert_array_equal(recall, [0, 0, 0, -1, 0])  # 2, 5, 7, 11 (no objects), 30


def test_results_are_not_modified(coco_data):
  ground_truth, results = coco_data
  before = [dict(result) for result in results]
  matching.evaluate(ground_truth, results, _CATEGORY_IDS, 'segm', 100, processes.WorkerPool(1))
  assert results == before
