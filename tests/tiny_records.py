"""Records of a few small images, and the registered experiments reduced to train on them."""

import json
import pathlib

import numpy as np
from official.core import config_definitions as cfg
from official.core import exp_factory
from PIL import Image

from htc_tf import registry_imports  # noqa: F401
from htc_tf.data import coco_to_tfrecord
from tests import tiny

SIZE = 64
NUM_CLASSES = 3  # Background and two categories.
# Left, top, width and height of the instances of each image; the last image has none.
BOXES = (((4, 6, 24, 30), (34, 20, 24, 36)), ((10, 10, 30, 26),), ((30, 4, 28, 28),), ())
COLORS = ((220, 30, 30), (30, 60, 220))
CATEGORY_IDS = (3, 8)


def write(
  folder: pathlib.Path,
  prefix: str = 'train',
  num_images: int = len(BOXES),
  sizes=((SIZE, SIZE),),
) -> str:
  """Write records of images with colored rectangles, and return the pattern of their paths.

  Args:
    folder: folder for images, annotations (`<prefix>_source.json`) and records.
    prefix: prefix of the written files.
    num_images: number of images.
    sizes: heights and widths, which the images have in turn.
  """
  images = folder / f'{prefix}_images'
  images.mkdir(parents=True)
  rng = np.random.default_rng(0)
  content = {
    'images': [],
    'annotations': [],
    'categories': [{'id': id_, 'name': f'color{id_}'} for id_ in CATEGORY_IDS],
  }
  for image_id, boxes in enumerate(BOXES[:num_images], 1):
    height, width = sizes[(image_id - 1) % len(sizes)]
    pixels = rng.integers(90, 110, [height, width, 3], dtype=np.uint8)
    for index, box in enumerate(boxes):
      _paint(pixels, box, COLORS[index])
      content['annotations'].append(
        _annotation(len(content['annotations']) + 1, image_id, index, box)
      )
    Image.fromarray(pixels).save(images / f'{image_id}.png')
    content['images'].append(
      {'id': image_id, 'file_name': f'{image_id}.png', 'height': height, 'width': width}
    )
  annotations = folder / f'{prefix}_source.json'
  annotations.write_text(json.dumps(content), encoding='utf-8')
  coco_to_tfrecord.convert(
    coco_to_tfrecord.ConversionOptions(
      str(annotations),
      str(images),
      str(folder / 'records'),
      prefix=prefix,
      num_shards=1,
      semantic='instances',
    ),
    log=lambda message: None,
  )
  return str(folder / 'records' / f'{prefix}-*.tfrecord')


def _paint(pixels, box, color):
  left, top, width, height = box
  pixels[top : top + height, left : left + width] = color


def _annotation(id_, image_id, index, box):
  left, top, width, height = box
  right, bottom = left + width, top + height
  return {
    'id': id_,
    'image_id': image_id,
    'category_id': CATEGORY_IDS[index],
    'bbox': list(box),
    'area': width * height,
    'iscrowd': 0,
    'segmentation': [[left, top, right, top, right, bottom, left, bottom]],
  }


def reduced(name: str, train_path: str, val_path: str = '') -> cfg.ExperimentConfig:
  """A registered experiment with a small model on the given records.

  The branches, stages and types of parts, by which experiments differ, are kept.
  """
  params = exp_factory.get_exp_config(name)
  params.task.model.override(model_overrides(params.task.model))
  params.override(
    {
      'runtime': {'distribution_strategy': 'one_device', 'num_gpus': 0},
      'task': {
        'init_checkpoint': '',
        'train_data': {
          'input_path': train_path,
          'global_batch_size': 2,
          'shuffle_buffer_size': 4,
          'seed': 1,
          'published_selection': False,  # One of the images has no objects.
        },
        'validation_data': {'input_path': val_path or train_path, 'global_batch_size': 2},
      },
    }
  )
  for data in (params.task.train_data, params.task.validation_data):
    data.parser.override(
      {
        'min_sizes': [SIZE],
        'min_size_range': [],
        'max_size': SIZE,
        'max_num_instances': 4,
        'buckets': [],
      }
    )
  return params


def model_overrides(model) -> dict:
  """Overrides that reduce the model of an experiment."""
  parts = {**tiny.PUBLISHED_PARTS, 'num_classes': NUM_CLASSES, 'input_size': [SIZE, SIZE, 3]}
  parts['semantic_head'] = {**parts['semantic_head'], 'num_classes': NUM_CLASSES}
  if model.backbone.type == 'resnet':
    parts.update(tiny.MODEL_GARDEN_PARTS)
  return parts
