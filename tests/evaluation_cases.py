"""Small sets of annotations and detections, written down by hand or at random."""

from typing import Any, NamedTuple

import numpy as np
from pycocotools import coco

from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import image_matches
from htc_tf.evaluation.image_matches import ImageMatches

SIDE = 200


class Case(NamedTuple):
  """Annotations, detections and their categories."""

  ground_truth: coco.COCO
  results: list[dict[str, Any]]
  category_ids: list[int]

  def matches(self, iou_type: str = 'bbox') -> list[ImageMatches]:
    """The matches of all images."""
    return image_matches.match_images(self.ground_truth, self.results, self.category_ids, iou_type)


def build(objects, detections, num_images: int = 1, num_categories: int = 2) -> Case:
  """A case of images of 200 x 200 pixels.

  Args:
    objects: (image, category, (x, y, width, height)) and, for a crowd region, True.
    detections: (image, category, (x, y, width, height), score).
    num_images: number of images; their ids are 1, 2, ...
    num_categories: number of categories; their ids are 1, 2, ...
  """
  category_ids = list(range(1, num_categories + 1))
  annotations = [
    {
      'id': number,
      'image_id': image,
      'category_id': category,
      'bbox': list(box),
      'area': box[2] * box[3],
      'iscrowd': int(any(crowd)),
      'segmentation': polygon(box),
    }
    for number, (image, category, box, *crowd) in enumerate(objects, start=1)
  ]
  dataset = {
    'images': [
      {'id': number, 'file_name': f'{number}.png', 'height': SIDE, 'width': SIDE}
      for number in range(1, num_images + 1)
    ],
    'annotations': annotations,
    'categories': [{'id': id_, 'name': f'class {id_}'} for id_ in category_ids],
  }
  ground_truth = ground_truth_lib.index(dataset)
  results = [
    {
      'image_id': image,
      'category_id': category,
      'bbox': list(box),
      'score': score,
      'segmentation': ground_truth.annToRLE(
        {'image_id': image, 'segmentation': polygon(box), 'iscrowd': 0}
      ),
    }
    for image, category, box, score in detections
  ]
  return Case(ground_truth, results, category_ids)


def polygon(box) -> list[list[float]]:
  """A segmentation that fills a box (x, y, width, height) except for its lower right corner."""
  left, top, width, height = box
  right, bottom = left + width, top + height
  middle_x, middle_y = left + width / 2, top + height / 2
  return [[left, top, right, top, right, middle_y, middle_x, bottom, left, bottom]]


def random_case(
  seed: int, num_images: int = 12, num_categories: int = 4, crowds: bool = False
) -> Case:
  """A case with errors of every kind; no two scores are equal, and the last class has no object."""
  rng = np.random.default_rng(seed)
  objects, detections = [], []
  for image in range(1, num_images + 1):
    for _ in range(rng.integers(0, 7)):
      box = (*rng.integers(0, 140, 2).tolist(), *rng.integers(12, 60, 2).tolist())
      category = int(rng.integers(1, num_categories))
      objects.append((image, category, box, crowds and rng.uniform() < 0.2))
      for _ in range(rng.integers(0, 4)):
        shift = rng.integers(-16, 17, 4) * (rng.uniform() < 0.6)
        moved = np.maximum(np.array(box) + shift, [0, 0, 4, 4]).tolist()
        other = int(rng.integers(1, num_categories + 1))
        detections.append((image, category if rng.uniform() < 0.7 else other, tuple(moved)))
    for _ in range(rng.integers(0, 4)):
      box = (*rng.integers(0, 140, 2).tolist(), *rng.integers(12, 60, 2).tolist())
      detections.append((image, int(rng.integers(1, num_categories + 1)), box))
  scores = rng.permutation(np.linspace(0.05, 0.99, len(detections))).tolist()
  scored = [(*detection, score) for detection, score in zip(detections, scores)]
  return build(objects, scored, num_images, num_categories)
