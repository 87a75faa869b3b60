"""COCOeval distributed over processes by category, with the same figures.

COCOeval computes the precision and recall of each category independently, so its arrays for some
categories are slices of its arrays for all categories.
"""

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import coco, cocoeval

from htc_tf import processes
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import metrics


class _Part(NamedTuple):
  """Input of a worker that evaluates some of the categories.

  Attributes:
    dataset: COCO annotations of all images, with the annotations of these categories.
    results: COCO results of these categories, with only the field that is matched.
    category_ids: ids of the categories, ascending, in the order of the arrays.
    iou_type: 'bbox' or 'segm'.
    max_detections: limit of detections per image and category besides COCO's standard ones.
  """

  dataset: dict[str, list[Any]]
  results: list[dict[str, Any]]
  category_ids: tuple[int, ...]
  iou_type: str
  max_detections: int


def evaluate(
  ground_truth: coco.COCO,
  results: Sequence[dict[str, Any]],
  category_ids: Sequence[int],
  iou_type: str,
  max_detections: int,
  workers: processes.WorkerPool,
) -> cocoeval.COCOeval:
  """Precision and recall of results that are matched with annotations.

  Args:
    ground_truth: annotations with their index.
    results: COCO results with `bbox` and, for 'segm', `segmentation`; not modified.
    category_ids: ids of the evaluated categories.
    iou_type: 'bbox' or 'segm'.
    max_detections: number of detections per image and category, best first, for which precision and
      recall are computed besides COCO's 1, 10 and 100.
    workers: pool that evaluates the categories; it must have no pending calls.

  Returns:
    A COCOeval with the same `params`, `eval['precision']` and `eval['recall']` as after
    `accumulate()` over all categories.
  """
  category_ids = sorted(set(category_ids))  # as COCOeval orders its arrays
  parts = _split(
    ground_truth.dataset,
    matched_fields(results, iou_type),
    category_ids,
    iou_type,
    max_detections,
    workers.num_workers,
  )
  arrays = []
  for part in parts:
    arrays += workers.submit(_evaluate_part, part)
  arrays += workers.drain()
  order = np.argsort([category for part in parts for category in part.category_ids])
  evaluation = cocoeval.COCOeval(iouType=iou_type)
  _set_params(evaluation.params, category_ids, max_detections)
  evaluation.params.imgIds = sorted(ground_truth.imgs)
  precision, recall = zip(*arrays)
  evaluation.eval = {
    'precision': np.concatenate(precision, axis=2)[:, :, order],
    'recall': np.concatenate(recall, axis=1)[:, order],
  }
  return evaluation


def matched_fields(results: Sequence[dict[str, Any]], iou_type: str) -> list[dict[str, Any]]:
  """Copies of the results, without boxes for 'segm' and without masks for 'bbox'."""
  unused = 'bbox' if iou_type == 'segm' else 'segmentation'
  return [{key: value for key, value in result.items() if key != unused} for result in results]


def _split(
  dataset: dict[str, list[Any]],
  results: Sequence[dict[str, Any]],
  category_ids: Sequence[int],
  iou_type: str,
  max_detections: int,
  num_parts: int,
) -> list[_Part]:
  """Parts of the categories with similar numbers of detections."""
  annotations_of, results_of = (_by_category(items) for items in (dataset['annotations'], results))
  shares: list[list[int]] = [[] for _ in range(min(num_parts, len(category_ids)))]
  sizes = [0] * len(shares)
  for category in sorted(category_ids, key=lambda category: -len(results_of[category])):
    smallest = sizes.index(min(sizes))
    shares[smallest].append(category)
    # A category without detections takes time too, because all images are searched.
    sizes[smallest] += len(results_of[category]) + len(dataset['images'])
  return [
    _Part(
      {
        'images': dataset['images'],
        'categories': dataset['categories'],
        'annotations': [item for category in share for item in annotations_of[category]],
      },
      [item for category in share for item in results_of[category]],
      tuple(sorted(share)),
      iou_type,
      max_detections,
    )
    for share in shares
  ]


def _by_category(items: Sequence[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
  found = collections.defaultdict(list)
  for item in items:
    found[item['category_id']].append(item)
  return found


def _evaluate_part(part: _Part) -> tuple[np.ndarray, np.ndarray]:
  """Precision and recall of COCOeval.

  Returns:
    [iou, recall, category, size, max_detections] and [iou, category, size, max_detections].
  """
  with ground_truth_lib.silence():
    ground_truth = ground_truth_lib.index(part.dataset)
    # `loadRes` of pycocotools fails if there are no results.
    found = (
      ground_truth.loadRes(part.results)
      if part.results
      else ground_truth_lib.index({**part.dataset, 'annotations': []})
    )
    evaluation = cocoeval.COCOeval(ground_truth, found, part.iou_type)
    _set_params(evaluation.params, part.category_ids, part.max_detections)
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation.eval['precision'], evaluation.eval['recall']


def _set_params(params: cocoeval.Params, category_ids: Sequence[int], max_detections: int) -> None:
  params.catIds = list(category_ids)
  params.maxDets = metrics.limits(max_detections)
