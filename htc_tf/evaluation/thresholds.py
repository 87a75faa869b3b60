"""The score threshold that maximizes F1, for each class and for all classes together."""

import decimal
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from htc_tf.evaluation.image_matches import DetectionArrays

_MAX_DIGITS = 6


class OperatingPoint(NamedTuple):
  """Figures of the detections whose score is at least a threshold.

  Attributes:
    threshold: smallest score that counts; None if there is no right detection at any threshold.
    precision: share of the detections that are right; 0 without a threshold.
    recall: share of the objects that are found; 0 without a threshold.
    f1: harmonic mean of precision and recall.
  """

  threshold: float | None
  precision: float
  recall: float
  f1: float


def best_point(scores: np.ndarray, is_true: np.ndarray, num_objects: int) -> OperatingPoint:
  """The operating point with the largest F1; of equal ones, that with the highest threshold.

  The threshold is the number with the fewest decimals that separates the detections that count from
  the next lower score.

  Args:
    scores: [num_detections] scores.
    is_true: [num_detections] bool, whether each detection finds an object.
    num_objects: number of objects.
  """
  if not is_true.any():
    return OperatingPoint(None, 0.0, 0.0, 0.0)
  order = np.argsort(-scores, kind='stable')
  ranked, num_true = scores[order], np.cumsum(is_true[order])
  # Detections of equal scores are on the same side of every threshold.
  is_last = np.append(ranked[1:] < ranked[:-1], True)
  num_kept = np.arange(1, len(ranked) + 1)
  f1 = np.where(is_last, 2 * num_true / (num_kept + num_objects), -1.0)
  best = int(np.argmax(f1))
  following = float(ranked[best + 1]) if best + 1 < len(ranked) else -math.inf
  return OperatingPoint(
    _shortest_between(following, float(ranked[best])),
    float(num_true[best] / num_kept[best]),
    float(num_true[best] / num_objects),
    float(f1[best]),
  )


def best_points(detections: DetectionArrays, num_objects: np.ndarray) -> list[OperatingPoint]:
  """The best operating point of each class.

  Args:
    detections: detections of all images.
    num_objects: [num_categories] number of objects of each class.
  """
  return [
    best_point(
      detections.scores[detections.labels == label],
      detections.is_true[detections.labels == label],
      int(count),
    )
    for label, count in enumerate(num_objects)
  ]


def written(threshold: float) -> str:
  """A threshold with all its digits: a rounded one may choose other detections."""
  short = f'{threshold:g}'
  return short if float(short) == threshold else repr(threshold)


def num_decimals(values: Iterable[float | None]) -> int:
  """The number of decimal places that all thresholds need, at least two.

  Args:
    values: thresholds; None for classes that have none.
  """
  exponents = [decimal.Decimal(repr(value)).as_tuple().exponent for value in values if value]
  return max([2, *(-exponent for exponent in exponents if isinstance(exponent, int))])


def _shortest_between(below: float, limit: float) -> float:
  """The number above `below` and not above `limit` with the fewest decimals, from two on."""
  for digits in range(2, _MAX_DIGITS + 1):
    rounded = math.floor(limit * 10**digits) / 10**digits
    if below < rounded <= limit:
      return rounded
  return limit
