"""Tests of the evaluation of detections of either side."""

import copy
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from benchmarks.beside_original import evaluation

BOXES = ([10, 10, 20, 30], [60, 40, 30, 30])


def rle(box):
  mask = np.zeros([100, 100], np.uint8)
  x, y, width, height = box
  mask[y : y + height, x : x + width] = 1
  runs = coco_mask.encode(np.asfortranarray(mask))
  return {'size': runs['size'], 'counts': runs['counts'].decode('ascii')}


def results(shift=0):
  return [
    {
      'image_id': 1,
      'category_id': category,
      'bbox': box,
      'score': 0.9,
      'segmentation': rle([box[0] + shift, *box[1:]]),
    }
    for category, box in enumerate(BOXES, 1)
  ]


@pytest.fixture
def annotations(tmp_path):
  content = {
    'images': [{'id': 1, 'height': 100, 'width': 100, 'file_name': '1.png'}],
    'categories': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}],
    'annotations': [
      {**result, 'id': number, 'iscrowd': 0, 'area': result['bbox'][2] * result['bbox'][3]}
      for number, result in enumerate(results(), 1)
    ],
  }
  path = tmp_path / 'val.json'
  path.write_text(json.dumps(content))
  return str(path)


def test_boxes_and_masks_count_separately(annotations):
  # Of masks that are 20 and 30 pixels wide, a shift by 5 leaves an IoU of 15 / 25 and 25 / 35.
  given = results(shift=5)
  before = copy.deepcopy(given)
  found = evaluation.figures(annotations, given)
  assert found['bbox_AP'] == pytest.approx(1)
  assert found['segm_AP'] == pytest.approx((3 + 5) / 20)
  assert (found['segm_AP50'], found['segm_AP75']) == pytest.approx((1, 0))
  assert given == before


def test_no_detections_are_0(annotations):
  assert set(evaluation.figures(annotations, []).values()) == {0.0}
