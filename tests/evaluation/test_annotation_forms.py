"""Tests of evaluations with annotation files that tools write in another form than COCO's."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from pycocotools import coco as pycoco
from pycocotools import cocoeval

from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from tests.annotation_forms import ENCODINGS, FORMS
from tests.data.conftest import SIZES_HW, annotation

_FIGURES = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl']
_CATEGORY_IDS = [3, 8]


@pytest.fixture
def content():
  """The content of a file in the form of COCO, with three objects and a crowd."""
  crowd = {'size': [24, 40], 'counts': [24 * 30, 24 * 10]}
  return {
    'images': [
      {'id': id_, 'file_name': f'{id_}.png', 'height': size[0], 'width': size[1]}
      for id_, size in SIZES_HW.items()
    ],
    'annotations': [
      annotation(101, 7, 8, (2, 3, 10, 5)),
      annotation(102, 7, 3, (8, 6, 12, 9)),
      annotation(103, 7, 3, (30, 0, 10, 24), iscrowd=1, segmentation=crowd),
      annotation(104, 9, 8, (4, 10, 9, 20)),
    ],
    'categories': [{'id': 8, 'name': 'dog'}, {'id': 3, 'name': 'cat'}],
  }


def _detections(content, image_ids=None):
  """Detections near the objects of all images, and padding rows."""
  rng = np.random.default_rng(3)
  images, num_rows = content['images'], 5
  batch = {
    'source_id': np.array(image_ids or [image['id'] for image in images]),
    'image_info': np.array(
      [[[i['height'], i['width']], [i['height'], i['width']], [1, 1], [0, 0]] for i in images],
      np.float32,
    ),
    'detection_boxes': np.zeros([len(images), num_rows, 4], np.float32),
    'detection_scores': np.sort(rng.uniform(0.1, 1, [len(images), num_rows]))[:, ::-1],
    'detection_classes': np.ones([len(images), num_rows], np.int32),
    'num_detections': np.zeros(len(images), np.int32),
    'detection_masks': rng.uniform(0.3, 1, [len(images), num_rows, 28, 28]),
  }
  for row, image in enumerate(images):
    for entry in content['annotations']:
      if entry['image_id'] == image['id']:
        x, y, width, height = entry['bbox']
        index = batch['num_detections'][row]
        noise = rng.uniform(-0.8, 0.8, 4)
        batch['detection_boxes'][row, index] = np.array([y, x, y + height, x + width]) + noise
        batch['detection_classes'][row, index] = _CATEGORY_IDS.index(entry['category_id']) + 1
        batch['num_detections'][row] += 1
  return batch


def _pycocotools_figures(annotation_file, result_file, iou_type):
  with contextlib.redirect_stdout(io.StringIO()):
    loaded = pycoco.COCO(str(annotation_file))
    evaluation = cocoeval.COCOeval(loaded, loaded.loadRes(str(result_file)), iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return evaluation.stats[: len(_FIGURES)].tolist()


def _check(tmp_path, good, path):
  """The figures with a file are those of pycocotools with the repaired file."""
  repaired = tmp_path / 'repaired.json'
  repaired.write_text(json.dumps(good), encoding='utf-8')
  evaluator = COCOEvaluator(path, _CATEGORY_IDS, include_mask=True, names=['cat', 'dog'])
  evaluator.update(_detections(good))
  figures = evaluator.result()
  assert 0.1 < figures['bbox_AP'] < 0.95 and 0.1 < figures['segm_AP'] < 0.95
  results = evaluator.save_results(tmp_path / 'results.json')
  for iou_type, result_file in zip(('bbox', 'segm'), results):
    expected = _pycocotools_figures(repaired, result_file, iou_type)
    assert [figures[f'{iou_type}_{name}'] for name in _FIGURES] == expected


@pytest.mark.parametrize('name', FORMS)
def test_the_figures_are_those_of_the_repaired_file_and_the_form_is_logged(
  tmp_path, content, caplog, name
):
  good = copy.deepcopy(content)
  change, checks = FORMS[name]
  change(content)
  path = tmp_path / 'own.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  _check(tmp_path, good, path)
  for count in checks.values():
    assert f': {count} ' in caplog.text or f'; {count} ' in caplog.text


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_another_encoding_of_the_file_is_read_and_logged(tmp_path, content, caplog, encoding):
  path = tmp_path / 'own.json'
  path.write_text(json.dumps(content), encoding=encoding)
  _check(tmp_path, content, path)
  assert f'byte-order mark (read): e.g. {encoding[:6]}' in caplog.text


def test_names_of_files_are_not_needed(tmp_path, content):
  good = copy.deepcopy(content)
  for image, value in zip(content['images'], (None, 3, '')):
    image['file_name'] = value
  path = tmp_path / 'own.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  _check(tmp_path, good, path)


def test_images_with_ids_that_are_text_have_the_numbers_of_the_conversion(tmp_path, content):
  """The conversion numbers them in the order of the file."""
  good = copy.deepcopy(content)
  evaluator = _evaluator(tmp_path, good)
  evaluator.update(_detections(good))
  expected = evaluator.result()
  for entry in (*content['images'], *content['annotations']):
    key = 'id' if 'file_name' in entry else 'image_id'
    entry[key] = f'image {entry[key]}'
  evaluator = _evaluator(tmp_path, content)
  evaluator.update(_detections(good, image_ids=[1, 2, 3]))
  assert evaluator.result() == expected


def _evaluator(tmp_path, content):
  path = tmp_path / 'own.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  return COCOEvaluator(path, _CATEGORY_IDS, include_mask=True)
