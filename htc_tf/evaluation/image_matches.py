"""Detections of each image matched with its objects once, for every analysis of errors.

COCOeval matches within a category, and forgets which other object a detection lies on. Here the
overlaps of a detection with the objects of all categories are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import coco
from pycocotools import mask as coco_mask

from htc_tf import processes
from htc_tf.evaluation import metrics

IOU_THRESHOLD = 0.5


class ImageMatches(NamedTuple):
  """Detections and objects of one image, matched as COCOeval matches them at IoU 0.5.

  The detections are in descending order of their scores, and at most 100 of a category.

  Attributes:
    image_id: id of the image.
    sources: [num_detections] positions of the detections in the list of results.
    scores: [num_detections] scores.
    labels: [num_detections] position of each category in the list of categories.
    annotation_ids: [num_objects] ids of the annotations.
    object_labels: [num_objects] position of each category in the list of categories.
    is_crowd: [num_objects] bool; crowd regions are no objects to find.
    ious: [num_detections, num_objects] overlaps; with a crowd region, the share of the detection
      that is inside it.
    matches: [num_detections] position of the object that the detection finds, or -1.
    is_ignored: [num_detections] bool; such a detection lies in a crowd region of its category and
      counts neither as right nor as wrong.
  """

  image_id: int
  sources: np.ndarray
  scores: np.ndarray
  labels: np.ndarray
  annotation_ids: np.ndarray
  object_labels: np.ndarray
  is_crowd: np.ndarray
  ious: np.ndarray
  matches: np.ndarray
  is_ignored: np.ndarray

  @property
  def is_found(self) -> np.ndarray:
    """[num_objects] bool, whether a detection finds the object."""
    found = np.zeros(len(self.object_labels), bool)
    found[self.matches[self.matches >= 0]] = True
    return found

  @property
  def is_same_class(self) -> np.ndarray:
    """[num_detections, num_objects] bool, whether detection and object have the same category."""
    return self.labels[:, None] == self.object_labels[None, :]


class DetectionArrays(NamedTuple):
  """Detections of all images one after another, without those in crowd regions.

  Attributes:
    scores: [num_detections] scores.
    labels: [num_detections] position of each category in the list of categories.
    is_true: [num_detections] bool, whether the detection finds an object.
  """

  scores: np.ndarray
  labels: np.ndarray
  is_true: np.ndarray


def match_images(
  ground_truth: coco.COCO,
  results: Sequence[Mapping[str, Any]],
  category_ids: Sequence[int],
  iou_type: str,
) -> list[ImageMatches]:
  """The matches of all images, ordered by image id.

  Args:
    ground_truth: annotations with their index.
    results: COCO results with `bbox` or, for 'segm', `segmentation`; those of other categories are
      left out.
    category_ids: ids of the evaluated categories; annotations of others are left out.
    iou_type: 'bbox' or 'segm'.
  """
  labels = {category: label for label, category in enumerate(category_ids)}
  rows: dict[int, list[int]] = {image_id: [] for image_id in ground_truth.imgs}
  for row, result in enumerate(results):
    if result['category_id'] in labels:
      rows[result['image_id']].append(row)
  matched = []
  for image_id in sorted(ground_truth.imgs):
    objects = [item for item in ground_truth.imgToAnns[image_id] if item['category_id'] in labels]
    matched.append(
      _match_image(ground_truth, image_id, rows[image_id], results, objects, labels, iou_type)
    )
    processes.report_progress()
  return matched


def detection_arrays(images: Sequence[ImageMatches]) -> DetectionArrays:
  """The detections of all images that count as right or wrong."""
  return DetectionArrays(
    joined([image.scores[~image.is_ignored] for image in images], np.float64),
    joined([image.labels[~image.is_ignored] for image in images], np.int64),
    joined([image.matches[~image.is_ignored] >= 0 for image in images], bool),
  )


def count_objects(images: Sequence[ImageMatches], num_categories: int) -> np.ndarray:
  """[num_categories] number of objects of each category, without crowd regions."""
  labels = joined([image.object_labels[~image.is_crowd] for image in images], np.int64)
  return np.bincount(labels, minlength=num_categories)


def joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
  """Arrays one after another; an empty array if there are none."""
  return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)


def _match_image(
  ground_truth: coco.COCO,
  image_id: int,
  rows: Sequence[int],
  results: Sequence[Mapping[str, Any]],
  objects: Sequence[Mapping[str, Any]],
  labels: Mapping[int, int],
  iou_type: str,
) -> ImageMatches:
  best = _best_of_each_category(rows, results)
  found = [results[row] for row in best]
  is_crowd = np.array([bool(item.get('iscrowd')) for item in objects], bool)
  detected_labels = np.array([labels[item['category_id']] for item in found], np.int64)
  object_labels = np.array([labels[item['category_id']] for item in objects], np.int64)
  ious = _overlaps(ground_truth, found, objects, is_crowd, iou_type)
  same = detected_labels[:, None] == object_labels[None, :]
  matches, is_ignored = _match(np.where(same, ious, -1.0), is_crowd)
  return ImageMatches(
    image_id,
    np.array(best, np.int64),
    np.array([item['score'] for item in found], np.float64),
    detected_labels,
    np.array([item['id'] for item in objects], np.int64),
    object_labels,
    is_crowd,
    ious,
    matches,
    is_ignored,
  )


def _best_of_each_category(rows: Sequence[int], results: Sequence[Mapping[str, Any]]) -> list[int]:
  """The rows with the best scores first, and as many of a category as COCO counts."""
  counts: dict[int, int] = {}
  kept = []
  for row in sorted(rows, key=lambda row: -results[row]['score']):
    category = results[row]['category_id']
    counts[category] = counts.get(category, 0) + 1
    if counts[category] <= metrics.STANDARD_LIMIT:
      kept.append(row)
  return kept


def _overlaps(
  ground_truth: coco.COCO,
  found: Sequence[Mapping[str, Any]],
  objects: Sequence[Mapping[str, Any]],
  is_crowd: np.ndarray,
  iou_type: str,
) -> np.ndarray:
  """[num_detections, num_objects] overlaps as COCOeval computes them."""
  if not found or not objects:
    return np.zeros([len(found), len(objects)])
  if iou_type == 'segm':
    regions = [item['segmentation'] for item in found]
    annotated = [ground_truth.annToRLE(item) for item in objects]
  else:
    regions, annotated = ([item['bbox'] for item in items] for items in (found, objects))
  return np.asarray(coco_mask.iou(regions, annotated, is_crowd.tolist()), np.float64)


def _match(ious: np.ndarray, is_crowd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The object of each detection, or -1, and whether the detection lies in a crowd region.

  Each detection in turn takes the free object with the largest overlap, of equal ones the last, as
  COCOeval does.

  Args:
    ious: [num_detections, num_objects] overlaps; -1 where the categories differ.
    is_crowd: [num_objects] bool.
  """
  matches = np.full(len(ious), -1, np.int64)
  is_ignored = np.zeros(len(ious), bool)
  free = ~is_crowd
  for row in np.flatnonzero(np.any(ious >= IOU_THRESHOLD, axis=1)):
    candidates = np.where(free, ious[row], -1.0)
    best = len(candidates) - 1 - int(np.argmax(candidates[::-1]))
    if candidates[best] >= IOU_THRESHOLD:
      matches[row] = best
      free[best] = False
    else:
      is_ignored[row] = bool((ious[row][is_crowd] >= IOU_THRESHOLD).any())
  return matches, is_ignored


def above(images: Sequence[ImageMatches], threshold: float) -> Iterator[ImageMatches]:
  """The images with the detections whose score is at least a threshold.

  Because the best detections choose first, the matches of those that stay do not change.
  """
  for image in images:
    kept = image.scores >= threshold
    yield image._replace(
      sources=image.sources[kept],
      scores=image.scores[kept],
      labels=image.labels[kept],
      ious=image.ious[kept],
      matches=image.matches[kept],
      is_ignored=image.is_ignored[kept],
    )
