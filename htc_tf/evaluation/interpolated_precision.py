"""AP at one IoU threshold of detections that are marked as right or wrong, as COCO computes it."""

import numpy as np

RECALLS = np.linspace(0, 1, 101)


def average_precision(scores: np.ndarray, is_true: np.ndarray, num_objects: int) -> float:
  """Mean over 101 recalls of the largest precision at that recall or a higher one.

  Args:
    scores: [num_detections] scores; equal ones keep their order.
    is_true: [num_detections] bool, whether each detection finds an object.
    num_objects: number of objects; at least 1.
  """
  if not len(scores):
    return 0.0
  ranked = is_true[np.argsort(-scores, kind='stable')]
  num_true = np.cumsum(ranked)
  precision = num_true / np.arange(1, len(ranked) + 1)
  largest = np.maximum.accumulate(precision[::-1])[::-1]
  positions = np.searchsorted(num_true / num_objects, RECALLS, side='left')
  return float(np.append(largest, 0.0)[positions].mean())
