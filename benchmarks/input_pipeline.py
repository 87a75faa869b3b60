"""Images per second of the training input pipeline: `python -m benchmarks.input_pipeline`.

The data are generated and then converted like COCO: JPEG files of 640x480 that compress like
photographs, polygons of a wide range of sizes, and a semantic map. The pipeline is that of
`htc_resnet50fpn_1x_coco`: decoding, resizing to 800x1067, padding to 800x1088, flips, boxes, packed
masks, semantic map and batches.
"""

import argparse
import json
import os
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from official.core import exp_factory
from PIL import Image

from htc_tf import registry_imports  # noqa: F401
from htc_tf.data import coco_to_tfrecord
from htc_tf.tasks.htc import HTCTask

EXPERIMENT = 'htc_resnet50fpn_1x_coco'
HEIGHT, WIDTH = 480, 640
_NUM_IMAGES = 32
_NUM_CATEGORIES = 80
_WARM_UP_BATCHES = 8


class Rate(NamedTuple):
  """Speed of the input pipeline.

  Attributes:
    images_per_second: images per second of wall time, with all usable cores.
    cpu_seconds: CPU time per image, of all threads of this process.
  """

  images_per_second: float
  cpu_seconds: float


def images_per_second(num_instances: int = 7, num_images: int = 128, batch_size: int = 2) -> Rate:
  """Speed of the pipeline on generated data.

  Args:
    num_instances: number of instances per image; COCO has 7 on average.
    num_images: number of timed images; a multiple of `batch_size`.
    batch_size: number of images per batch.
  """
  with tempfile.TemporaryDirectory() as folder:
    pattern = write_records(folder, num_instances)
    batches = iter(build_batches(pattern, batch_size))
    for _ in range(_WARM_UP_BATCHES):
      next(batches)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(num_images // batch_size):
      next(batches)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
  return Rate(num_images / wall, cpu / num_images)


def build_batches(pattern: str, batch_size: int) -> tf.data.Dataset:
  """Training batches of the experiment, read from the given records.

  Args:
    pattern: glob pattern of the records.
    batch_size: number of images per batch.
  """
  params = exp_factory.get_exp_config(EXPERIMENT)
  params.task.train_data.override(
    {
      'input_path': pattern,
      'global_batch_size': batch_size,
      'shuffle_buffer_size': _NUM_IMAGES,
      'seed': 0,
    }
  )
  return HTCTask(params.task).build_inputs(params.task.train_data)


def write_records(folder: str, num_instances: int, num_images: int = _NUM_IMAGES) -> str:
  """Generate images and annotations, and convert them to records.

  Args:
    folder: folder to write to.
    num_instances: number of instances per image.
    num_images: number of images.

  Returns:
    Glob pattern of the records.
  """
  generator = np.random.default_rng(0)
  images = os.path.join(folder, 'images')
  os.makedirs(images)
  content: dict[str, list[dict[str, Any]]] = {
    'images': [],
    'annotations': [],
    'categories': [{'id': id_, 'name': f'category{id_}'} for id_ in range(1, _NUM_CATEGORIES + 1)],
  }
  for image_id in range(1, num_images + 1):
    name = f'{image_id}.jpg'
    _noise_image(generator).save(os.path.join(images, name), quality=92)
    content['images'].append({'id': image_id, 'file_name': name, 'height': HEIGHT, 'width': WIDTH})
    for _ in range(num_instances):
      content['annotations'].append(
        {'id': len(content['annotations']) + 1, 'image_id': image_id, **_instance(generator)}
      )
  annotations = os.path.join(folder, 'annotations.json')
  with open(annotations, 'w', encoding='utf-8') as file:
    json.dump(content, file)
  coco_to_tfrecord.convert(
    coco_to_tfrecord.ConversionOptions(
      annotations, images, os.path.join(folder, 'records'), num_shards=4, semantic='instances'
    ),
    log=lambda message: None,
  )
  return os.path.join(folder, 'records', 'train-*.tfrecord')


def _noise_image(generator: np.random.Generator) -> Image.Image:
  """Noise whose fine details are weaker than its coarse ones, as in photographs."""
  total = np.full([HEIGHT, WIDTH, 3], 120.0)
  for cell, strength in ((64, 60), (16, 40), (4, 20), (1, 8)):
    noise = generator.normal(128, strength, [HEIGHT // cell + 1, WIDTH // cell, 3]).clip(0, 255)
    image = Image.fromarray(noise.astype(np.uint8)).resize(
      (WIDTH, HEIGHT), Image.Resampling.BILINEAR
    )
    total += np.asarray(image, float) - 128
  return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def _instance(generator: np.random.Generator) -> dict[str, Any]:
  """Annotation of a polygon of 32 corners whose radius is 12 to 180 pixels, log-uniform."""
  radius = np.exp(generator.uniform(np.log(12), np.log(180)))
  center = generator.uniform([60, 60], [WIDTH - 60, HEIGHT - 60])
  angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
  radii = radius * (1 + 0.05 * generator.normal(size=32).cumsum())
  corners = center + radii[:, None] * np.stack([np.cos(angles), 0.8 * np.sin(angles)], 1)
  corners = corners.clip(0, [WIDTH, HEIGHT])
  (left, top), (right, bottom) = corners.min(0), corners.max(0)
  return {
    'category_id': int(generator.integers(1, _NUM_CATEGORIES + 1)),
    'iscrowd': 0,
    'bbox': [left, top, right - left, bottom - top],
    'area': (right - left) * (bottom - top),
    'segmentation': [corners.reshape(-1).tolist()],
  }


def main() -> None:
  """Print a table by number of instances."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--num_images', type=int, default=128, help='number of timed images')
  parser.add_argument(
    '--instances',
    type=int,
    nargs='+',
    default=[7, 30, 100],
    help='numbers of instances per image',
  )
  arguments = parser.parse_args()
  print(f'{"instances":>9} {"images/s":>9} {"CPU ms/image":>16}')
  for count in arguments.instances:
    rate = images_per_second(count, arguments.num_images)
    print(f'{count:9d} {rate.images_per_second:9.1f} {1000 * rate.cpu_seconds:16.1f}')


if __name__ == '__main__':
  main()
