"""COCOeval spread over processes: categories are matched and accumulated apart, figures the same.

COCOeval treats categories independently from the first step to the precision and recall of each, so
that its arrays for some of them are slices of its arrays for all.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import coco, cocoeval

from htc_tf import processes
from htc_tf.evaluation import ground_truth as ground_truth_lib


class _Part(NamedTuple):
  """What a worker needs to evaluate some of the categories.

  Attributes:
    dataset: COCO annotations: all images, the annotations of these categories.
    results: COCO results of these categories, with only the field that is matched.
    category_ids: the categories, ascending, as the arrays have them.
    iou_type: 'bbox' or 'segm'.
    max_detections: how many detections of an image and category count.
  """

  dataset: dict[str, list]
  results: list[dict]
  category_ids: tuple[int, ...]
  iou_type: str
  max_detections: int


def evaluate(
  ground_truth: coco.COCO,
  results: Sequence[dict],
  category_ids: Sequence[int],
  iou_type: str,
  max_detections: int,
  workers: processes.WorkerPool,
) -> cocoeval.COCOeval:
  """Matches results with annotations and accumulates precision and recall.

  Args:
    ground_truth: the indexed annotations.
    results: COCO results with `bbox` and, for 'segm', `segmentation`; left as they are.
    category_ids: what is evaluated.
    iou_type: 'bbox' or 'segm'.
    max_detections: how many detections of an image and category count, best first.
    workers: where the categories are evaluated; none of its results may be pending.

  Returns:
    A COCOeval whose `params` and whose `eval['precision']` and `eval['recall']` are those of
    `accumulate()` over all categories.
  """
  category_ids = sorted(set(category_ids))  # as COCOeval orders its arrays
  parts = _split(
    ground_truth.dataset,
    fields(results, iou_type),
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


def fields(results: Sequence[dict], iou_type: str) -> list[dict]:
  """Returns copies of the results without boxes for 'segm', without masks for 'bbox'."""
  unused = 'bbox' if iou_type == 'segm' else 'segmentation'
  return [{key: value for key, value in result.items() if key != unused} for result in results]


def _split(
  dataset: dict[str, list],
  results: Sequence[dict],
  category_ids: Sequence[int],
  iou_type: str,
  max_detections: int,
  num_parts: int,
) -> list[_Part]:
  """Shares the categories out, about as many detections to each part."""
  annotations_of, results_of = (_by_category(items) for items in (dataset['annotations'], results))
  shares = [[] for _ in range(min(num_parts, len(category_ids)))]
  sizes = [0] * len(shares)
  for category in sorted(category_ids, key=lambda category: -len(results_of[category])):
    smallest = sizes.index(min(sizes))
    shares[smallest].append(category)
    # Looking through the images costs something in a category without detections too.
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


def _by_category(items: Sequence[dict]) -> dict[int, list[dict]]:
  found = collections.defaultdict(list)
  for item in items:
    found[item['category_id']].append(item)
  return found


def _evaluate_part(part: _Part) -> tuple[np.ndarray, np.ndarray]:
  """Returns COCOeval's arrays, whose axes are as follows.

  Precision [iou, recall, category, size, detections]; recall [iou, category, size, detections].
  """
  with ground_truth_lib.silence():
    truth = ground_truth_lib.index(part.dataset)
    # pycocotools' own `loadRes` fails where there is nothing.
    found = (
      truth.loadRes(part.results)
      if part.results
      else ground_truth_lib.index({**part.dataset, 'annotations': []})
    )
    evaluation = cocoeval.COCOeval(truth, found, part.iou_type)
    _set_params(evaluation.params, part.category_ids, part.max_detections)
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation.eval['precision'], evaluation.eval['recall']


def _set_params(params: cocoeval.Params, category_ids: Sequence[int], max_detections: int):
  params.catIds = list(category_ids)
  params.maxDets = sorted({1, min(10, max_detections), max_detections})
