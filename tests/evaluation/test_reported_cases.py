"""Tests of situations that users reported from evaluations with their own annotation files."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import coco_to_tfrecord
from htc_tf.errors import DataError
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from tests.data.conftest import annotation

HEIGHT, WIDTH = 48, 64
BOXES = [(5, 6, 20, 15), (30, 20, 10, 10)]
CATEGORIES = [{'id': 1, 'name': 'cell'}, {'id': 2, 'name': 'nucleus'}]


@pytest.fixture
def content():
  return {
    'images': [{'id': 1, 'file_name': 'a.png', 'width': WIDTH, 'height': HEIGHT}],
    'annotations': [annotation(id_, 1, 1, box) for id_, box in enumerate(BOXES, 1)],
    'categories': CATEGORIES,
  }


def detections(image_id=1, boxes=BOXES, labels=(1, 1)):
  """Perfect detections of an image that was not resized."""
  corners = np.array([[[y, x, y + height, x + width] for x, y, width, height in boxes]], np.float32)
  info = np.array([[HEIGHT, WIDTH], [HEIGHT, WIDTH], [1, 1], [0, 0]], np.float32)
  return {
    'source_id': np.array([image_id]),
    'image_info': info[None],
    'detection_boxes': corners,
    'detection_scores': np.array([[0.9, 0.8]], np.float32)[:, : len(boxes)],
    'detection_classes': np.array([labels[: len(boxes)]], np.int32),
    'num_detections': np.array([len(boxes)], np.int32),
    'detection_masks': np.ones([1, len(boxes), 28, 28], np.float32),
  }


def evaluator_of(tmp_path, content, **options):
  path = tmp_path / 'own.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  return COCOEvaluator(path, [1, 2], include_mask=True, **options)


def check_perfect(tmp_path, caplog, content, finding, **prediction):
  """Perfect detections have the AP of 1 that they have with the original file."""
  evaluator = evaluator_of(tmp_path, content)
  evaluator.update(detections(**prediction))
  figures = evaluator.result()
  assert figures['bbox_AP'] == pytest.approx(1.0)
  assert figures['segm_AP'] == pytest.approx(1.0)
  assert finding in caplog.text


def test_areas_are_text(tmp_path, content, caplog):
  for entry in content['annotations']:
    entry['area'] = str(entry['area'])
  check_perfect(tmp_path, caplog, content, '2 numbers written as text (read): e.g. area of')


def test_segmentations_are_flat_lists(tmp_path, content, caplog):
  for entry in content['annotations']:
    (entry['segmentation'],) = entry['segmentation']
  check_perfect(tmp_path, caplog, content, '2 polygons written as one flat list')


def test_ids_of_annotations_are_text(tmp_path, content, caplog):
  content['annotations'][0]['id'], content['annotations'][1]['id'] = 'a1', 'b2'
  check_perfect(tmp_path, caplog, content, '2 annotations with an unusable id')


def convert(tmp_path, content, prefix):
  (tmp_path / 'images').mkdir(exist_ok=True)
  Image.fromarray(np.zeros([HEIGHT, WIDTH, 3], np.uint8)).save(tmp_path / 'images' / 'a.png')
  source = tmp_path / f'{prefix}_source.json'
  source.write_text(json.dumps(content), encoding='utf-8')
  options = coco_to_tfrecord.ConversionOptions(
    str(source), str(tmp_path / 'images'), str(tmp_path / 'records'), prefix=prefix, num_shards=1
  )
  return coco_to_tfrecord.convert(options, log=lambda message: None)


def converted_splits(tmp_path, content, val_names):
  """Metadata of training and validation records with other names or another order."""
  names = ('CLASS_A', 'CLASS_B', 'CLASS_C')
  content['categories'] = [{'id': id_, 'name': name} for id_, name in enumerate(names)]
  val = copy.deepcopy(content)
  val['categories'] = [{'id': id_, 'name': name} for id_, name in val_names]
  return convert(tmp_path, content, 'train'), convert(tmp_path, val, 'val')


def evaluator_of_splits(train, val):
  return COCOEvaluator(
    val.annotation_path, train.category_ids, include_mask=True, names=train.category_names
  )


def test_training_and_validation_number_the_categories_differently(tmp_path, content):
  val_names = [(0, 'CLASS_A'), (1, 'CLASS_C'), (2, 'CLASS_B')]
  train, val = converted_splits(tmp_path, content, val_names)
  with pytest.raises(DataError, match=r"1: 'CLASS_B'.*1: 'CLASS_C'.*2 ids have another name"):
    evaluator_of_splits(train, val)


def test_training_and_validation_list_the_categories_in_another_order(tmp_path, content):
  val_names = [(2, 'CLASS_C'), (1, 'CLASS_B'), (0, 'CLASS_A')]
  train, val = converted_splits(tmp_path, content, val_names)
  evaluator = evaluator_of_splits(train, val)
  evaluator.update(detections(labels=(2, 2)))  # Class 2 is the category of id 1.
  assert evaluator.result()['bbox_AP'] == pytest.approx(1.0)
