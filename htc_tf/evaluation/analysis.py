"""The whole analysis of detections: AP, errors, thresholds, confusions, calibration."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import coco

from htc_tf import processes
from htc_tf.evaluation import (
  calibration,
  coco_evaluator,
  confusion,
  curves,
  error_kinds,
  image_matches,
  matching,
  metrics,
  thresholds,
)
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation.error_kinds import ErrorKind
from htc_tf.evaluation.image_matches import ImageMatches


class RegionAnalysis(NamedTuple):
  """The analysis by the overlap of boxes, or by that of masks.

  Attributes:
    class_curves: curves and AP of each class; None for a class without objects.
    errors: what the errors cost.
    error_counts: number of errors by kind, of all detections.
    images: matches of all images.
    image_errors: errors of the same images.
  """

  class_curves: list[curves.ClassCurves | None]
  errors: error_kinds.ErrorCosts
  error_counts: dict[ErrorKind, int]
  images: list[ImageMatches]
  image_errors: list[error_kinds.ImageErrors]


@dataclasses.dataclass(frozen=True)
class Analysis:
  """The whole analysis; classes are in the order of their category ids.

  Where one figure is given, it is that of masks, or of boxes if there are no masks.

  Attributes:
    names: names of the classes.
    category_ids: their category ids, ascending.
    results: the detections, without those of other categories.
    figures: the figures of COCO by key, such as `bbox_AP`; see `metrics.summary`.
    by_region: analysis by 'bbox' and, with masks, by 'segm'.
    num_images: number of annotated images.
    num_detections: number of detections that count: at most 100 of a class in an image.
    num_objects: [num_classes] number of objects, without crowd regions.
    num_images_of: [num_classes] number of images with an object of the class.
    num_crowds: number of crowd regions.
    objects_by_size: number of objects by COCO's names of sizes.
    best_point: the threshold that maximizes F1 over all classes together.
    threshold: that of `best_point`; if nothing is right, one that all detections reach.
    class_points: the threshold of each class that maximizes its F1.
    confusion: confusion matrix of the detections above `threshold`.
    counts_above: number of errors by kind of the detections above `threshold`.
    calibration: calibration of all detections that count; None if scores are no probabilities.
  """

  names: tuple[str, ...]
  category_ids: tuple[int, ...]
  results: list[dict[str, Any]]
  figures: dict[str, float]
  by_region: dict[str, RegionAnalysis]
  num_images: int
  num_detections: int
  num_objects: np.ndarray
  num_images_of: np.ndarray
  num_crowds: int
  objects_by_size: dict[str, int]
  best_point: thresholds.OperatingPoint
  threshold: float
  class_points: list[thresholds.OperatingPoint]
  confusion: np.ndarray
  counts_above: dict[ErrorKind, int]
  calibration: calibration.Calibration | None

  @property
  def main_type(self) -> str:
    """'segm' with masks, else 'bbox'."""
    return 'segm' if 'segm' in self.by_region else 'bbox'

  @property
  def main(self) -> RegionAnalysis:
    """The analysis by masks, or by boxes if there are no masks."""
    return self.by_region[self.main_type]


def analyze(
  ground_truth: coco.COCO,
  results: Sequence[dict[str, Any]],
  category_ids: Sequence[int],
  has_masks: bool,
  max_detections: int = metrics.STANDARD_LIMIT,
  on_progress: Callable[[int], object] = lambda num_images: None,
) -> Analysis:
  """The analysis of detections.

  Args:
    ground_truth: annotations with their index.
    results: COCO results with `bbox` and, with masks, `segmentation` as run lengths; their images
      are in the annotations.
    category_ids: ids of the evaluated categories.
    has_masks: whether results and annotations have masks, so that these are evaluated too.
    max_detections: number of detections per image and category at which the figures of COCO are
      given besides the standard 100.
    on_progress: function that is called with numbers of images; they sum to `num_steps`.
  """
  evaluated = set(category_ids)
  category_ids = sorted(evaluated)
  kept = [result for result in results if result['category_id'] in evaluated]
  figures: dict[str, float] = {}
  by_region = {}
  for iou_type in ('bbox', 'segm') if has_masks else ('bbox',):
    with processes.WorkerPool(coco_evaluator.default_workers(len(ground_truth.imgs))) as workers:
      evaluation = matching.evaluate(
        ground_truth, kept, category_ids, iou_type, max_detections, workers
      )
    on_progress(len(ground_truth.imgs))
    figures.update(metrics.summary(evaluation, iou_type, max_detections))
    images = _matches(ground_truth, kept, category_ids, iou_type, on_progress)
    by_region[iou_type] = _analyze_region(evaluation, images, len(category_ids))
  return _analysis(ground_truth, category_ids, kept, figures, by_region)


def num_steps(ground_truth: coco.COCO, has_masks: bool) -> int:
  """Sum of what `analyze` reports to `on_progress`."""
  return 2 * len(ground_truth.imgs) * (2 if has_masks else 1)


def _matches(
  ground_truth: coco.COCO,
  results: Sequence[dict[str, Any]],
  category_ids: Sequence[int],
  iou_type: str,
  on_progress: Callable[[int], object],
) -> list[ImageMatches]:
  (matched,) = processes.WorkerPool(1, on_progress).submit(
    image_matches.match_images, ground_truth, results, category_ids, iou_type
  )
  return matched


def _analyze_region(
  evaluation: Any, images: list[ImageMatches], num_categories: int
) -> RegionAnalysis:
  errors = [error_kinds.image_errors(image) for image in images]
  return RegionAnalysis(
    curves.class_curves(evaluation),
    error_kinds.error_costs(images, errors, num_categories),
    error_kinds.count_kinds(errors),
    images,
    errors,
  )


def _analysis(
  ground_truth: coco.COCO,
  category_ids: list[int],
  results: list[dict[str, Any]],
  figures: dict[str, float],
  by_region: dict[str, RegionAnalysis],
) -> Analysis:
  images = by_region['segm' if 'segm' in by_region else 'bbox'].images
  num_categories = len(category_ids)
  detections = image_matches.detection_arrays(images)
  num_objects = image_matches.count_objects(images, num_categories)
  best = thresholds.best_point(detections.scores, detections.is_true, int(num_objects.sum()))
  threshold = best.threshold
  if threshold is None:
    threshold = min(0.0, float(detections.scores.min(initial=0.0)))
  above = list(image_matches.above(images, threshold))
  return Analysis(
    ground_truth_lib.category_names(ground_truth, category_ids),
    tuple(category_ids),
    results,
    figures,
    by_region,
    len(images),
    sum(len(image.scores) for image in images),
    num_objects,
    _num_images_of(images, num_categories),
    sum(int(image.is_crowd.sum()) for image in images),
    _objects_by_size(ground_truth, category_ids),
    best,
    threshold,
    thresholds.best_points(detections, num_objects),
    confusion.confusion_matrix(above, num_categories),
    error_kinds.count_kinds([error_kinds.image_errors(image) for image in above]),
    calibration.calibration(detections.scores, detections.is_true),
  )


def _num_images_of(images: Sequence[ImageMatches], num_categories: int) -> np.ndarray:
  """[num_categories] number of images with an object of each category."""
  counts = np.zeros(num_categories, np.int64)
  for image in images:
    counts[np.unique(image.object_labels[~image.is_crowd])] += 1
  return counts


def _objects_by_size(ground_truth: coco.COCO, category_ids: Sequence[int]) -> dict[str, int]:
  """Number of objects by size, with the limits of COCO: 32 x 32 and 96 x 96 pixels."""
  evaluated = set(category_ids)
  areas = np.array(
    [
      item['area']
      for item in ground_truth.dataset['annotations']
      if item['category_id'] in evaluated and not item.get('iscrowd')
    ]
  )
  small, medium = int((areas <= 32**2).sum()), int((areas <= 96**2).sum())
  return {'small': small, 'medium': medium - small, 'large': len(areas) - medium}
