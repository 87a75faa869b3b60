"""What is odd about detections of a results file, although they can be evaluated.

Such detections are kept, so that the figures stay those of pycocotools.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import coco

# Boxes that reach beyond their image by this share of its sides, and the share of such boxes at
# which they are likely to be of another form.
_FAR = 0.1
_MANY = 0.1

_Entries = Sequence[Mapping[str, Any]]


def find_oddities(results: _Entries, ground_truth: coco.COCO) -> list[str]:
  """Sentences about copies, scores, boxes, and images without detections, with their counts.

  Args:
    results: COCO results with `bbox`; their images are in the annotations.
    ground_truth: annotations with their index.
  """
  return [
    *_copies(results),
    *_strange_scores(results),
    *_strange_boxes(results, ground_truth),
    *_images_without_detections(results, ground_truth),
  ]


def _copies(results: _Entries) -> Iterator[str]:
  # Hashes need less memory than the entries themselves, of which there may be millions.
  different = {hash(_content(result)) for result in results}
  copies = len(results) - len(different)
  if copies:
    yield (
      f'{_counted(copies, "detection is a copy", "detections are copies")} of another one. Copies '
      'are kept, as by pycocotools, and mostly count as wrong; likely cause: results that were '
      'joined twice'
    )


def _content(result: Mapping[str, Any]) -> tuple:
  segmentation = result.get('segmentation')
  counts = segmentation['counts'] if segmentation else None
  return (
    result['image_id'],
    result['category_id'],
    result['score'],
    tuple(result['bbox']),
    counts,
  )


def _strange_scores(results: _Entries) -> Iterator[str]:
  strange = sum(not 0 <= result['score'] <= 1 for result in results)
  if strange:
    yield (
      f'{_counted(strange, "score is", "scores are")} outside 0..1; they rank detections, but are '
      'no probabilities'
    )


def _strange_boxes(results: _Entries, ground_truth: coco.COCO) -> Iterator[str]:
  """Sentences about boxes that are likely to have another form than COCO's."""
  boxes = np.array([result['bbox'] for result in results], np.float64).reshape(-1, 4)
  negative = int((boxes[:, 2:] < 0).any(axis=1).sum())
  if negative:
    yield (
      f'{_counted(negative, "box has", "boxes have")} a negative width or height, and '
      f'{"lies" if negative == 1 else "lie"} on no object'
    )
  beyond = _num_beyond(boxes, results, ground_truth)
  if beyond and beyond >= _MANY * len(boxes):
    yield (
      f'{beyond:,} of {len(boxes):,} boxes reach far beyond their image. Boxes are [x, y, width, '
      'height] in pixels; likely cause: boxes with two corners, or of images of another size'
    )
  if len(boxes) and 0 < boxes.max() <= 1:
    yield (
      'all boxes are within 0..1. Boxes are [x, y, width, height] in pixels; likely cause: boxes '
      'as shares of the sides of their image'
    )


def _num_beyond(boxes: np.ndarray, results: _Entries, ground_truth: coco.COCO) -> int:
  """Number of boxes that reach far beyond their image."""
  sizes = np.array([_size(ground_truth.imgs[result['image_id']]) for result in results])
  ends = boxes[:, :2] + boxes[:, 2:]
  return int((ends > (1 + _FAR) * sizes.reshape(-1, 2)).any(axis=1).sum())


def _size(image: Mapping[str, Any]) -> tuple[float, float]:
  """Width and height of an image; infinite if the annotations lack them."""
  if image.get('size_unknown'):
    return np.inf, np.inf
  return image['width'], image['height']


def _images_without_detections(results: _Entries, ground_truth: coco.COCO) -> Iterator[str]:
  """A sentence about images with objects in which nothing is detected."""
  detected = {result['image_id'] for result in results}
  missed = [
    count
    for image_id, annotations in ground_truth.imgToAnns.items()
    if image_id not in detected
    and (count := sum(not annotation.get('iscrowd') for annotation in annotations))
  ]
  if missed:
    yield (
      f'in {len(missed):,} of {len(ground_truth.imgs):,} images there are objects but no '
      f'detection; {_counted(sum(missed), "object counts", "objects count")} as not found'
    )


def _counted(count: int, singular: str, plural: str) -> str:
  return f'{count:,} {singular if count == 1 else plural}'
