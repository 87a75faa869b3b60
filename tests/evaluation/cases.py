"""Annotations and predictions for tests of the COCO evaluator, and the figures of pycocotools."""

import contextlib
import io
import json

import numpy as np
from pycocotools import coco, cocoeval

from htc_tf.evaluation import coco_evaluator

CATEGORIES = [{'id': 3, 'name': 'cat'}, {'id': 5, 'name': 'dog'}, {'id': 9, 'name': 'owl'}]
CATEGORY_IDS = [3, 5, 9]
IMAGE_HW = (120, 200)
SCALE = np.array([1.25, 0.8], np.float32)
IMAGE_INFO = np.array([IMAGE_HW, [150, 160], SCALE, [0, 0]], np.float32)
FIGURES = [
  'AP',
  'AP50',
  'AP75',
  'APs',
  'APm',
  'APl',
  'ARmax1',
  'ARmax10',
  'ARmax100',
  'ARs',
  'ARm',
  'ARl',
]


def annotation(annotation_id, image_id, category_id, box, **fields):
  """An object that fills its box (y_min, x_min, y_max, x_max)."""
  y_min, x_min, y_max, x_max = (float(value) for value in box)
  polygon = [x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max]
  annotation = {
    'id': annotation_id,
    'image_id': image_id,
    'category_id': category_id,
    'bbox': [x_min, y_min, x_max - x_min, y_max - y_min],
    'area': (y_max - y_min) * (x_max - x_min),
    'iscrowd': 0,
    'segmentation': [polygon],
  }
  return {**annotation, **fields}


def random_boxes(rng, num):
  """Boxes of all three sizes of COCO, inside the image."""
  size = rng.choice([14, 50, 105], size=(num, 1)) * rng.uniform(0.95, 1.1, size=(num, 2))
  low = rng.uniform(0, 1, size=(num, 2)) * (np.array(IMAGE_HW) - size).clip(0)
  return np.concatenate([low, low + size], axis=1)


def dataset(num_images=4, seed=0):
  """Images with ids 10, 11, ... and seven objects each, none of them an owl."""
  rng = np.random.default_rng(seed)
  images = [
    {'id': 10 + index, 'height': IMAGE_HW[0], 'width': IMAGE_HW[1], 'file_name': f'{index}.png'}
    for index in range(num_images)
  ]
  annotations = []
  for image in images:
    for box in random_boxes(rng, 7):
      category_id = int(rng.choice([3, 5]))
      annotations.append(annotation(len(annotations) + 1, image['id'], category_id, box))
  return {'images': images, 'annotations': annotations, 'categories': CATEGORIES}


def write(tmp_path, dataset):
  path = tmp_path / 'instances.json'
  path.write_text(json.dumps(dataset), encoding='utf-8')
  return path


def predictions(dataset, noise=3.0, num_rows=20, seed=1):
  """Detections of all images: the objects with noise, five false positives, and padding rows."""
  rng = np.random.default_rng(seed)
  images = dataset['images']
  batch = {
    'source_id': np.array([image['id'] for image in images], np.int64),
    'image_info': np.tile(IMAGE_INFO, (len(images), 1, 1)),
    'detection_boxes': np.zeros((len(images), num_rows, 4), np.float32),
    'detection_scores': np.zeros((len(images), num_rows), np.float32),
    'detection_classes': np.zeros((len(images), num_rows), np.int32),
    'num_detections': np.zeros(len(images), np.int32),
    'detection_masks': np.zeros((len(images), num_rows, 28, 28), np.float32),
  }
  for row, image in enumerate(images):
    objects = [
      annotation for annotation in dataset['annotations'] if annotation['image_id'] == image['id']
    ]
    boxes = np.array(
      [[y, x, y + height, x + width] for x, y, width, height in (item['bbox'] for item in objects)]
    )
    labels = [CATEGORY_IDS.index(item['category_id']) + 1 for item in objects]
    boxes = np.concatenate(
      [boxes.reshape(-1, 4) + rng.normal(0, noise, (len(boxes), 4)), random_boxes(rng, 5)]
    )
    num = len(boxes)
    batch['detection_boxes'][row, :num] = boxes * np.tile(SCALE, 2)
    batch['detection_scores'][row, :num] = np.sort(rng.uniform(0.05, 1, num))[::-1]
    batch['detection_classes'][row, :num] = labels + rng.integers(1, 4, 5).tolist()
    batch['num_detections'][row] = num
    batch['detection_masks'][row, :num] = rng.uniform(0.3, 1, (num, 28, 28))
  return batch


def pycocotools_figures(annotation_file, result_file, iou_type):
  """Figures that pycocotools computes from two files."""
  with contextlib.redirect_stdout(io.StringIO()):
    ground_truth = coco.COCO(str(annotation_file))
    evaluation = cocoeval.COCOeval(ground_truth, ground_truth.loadRes(str(result_file)), iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return evaluation.stats.tolist()


def figures(result, prefix):
  return [result[f'{prefix}_{name}'] for name in FIGURES]


def evaluator(tmp_path, dataset, include_mask=True, **options):
  return coco_evaluator.COCOEvaluator(
    write(tmp_path, dataset), CATEGORY_IDS, include_mask, **options
  )
