"""Curves and figures of single classes, read from the arrays of COCOeval."""

from typing import NamedTuple

import numpy as np
from pycocotools import cocoeval

from htc_tf.evaluation import metrics


class ClassCurves(NamedTuple):
  """Precision of one class at 101 recalls from 0 to 1, and the figures of the class.

  Attributes:
    at_50: [101] precision at IoU 0.5.
    at_75: [101] precision at IoU 0.75.
    mean: [101] mean precision over the IoU thresholds 0.5 to 0.95.
    ap: mean of `mean`.
    ap50: mean of `at_50`.
    ar: largest recall, averaged over the IoU thresholds.
  """

  at_50: np.ndarray
  at_75: np.ndarray
  mean: np.ndarray
  ap: float
  ap50: float
  ar: float


def class_curves(evaluation: cocoeval.COCOeval) -> list[ClassCurves | None]:
  """The curves of each category in the order of `params.catIds`; None without objects.

  They count 100 detections per image and category, of all sizes.

  Args:
    evaluation: evaluation after `accumulate()`.
  """
  params = evaluation.params
  size, limit = params.areaRngLbl.index('all'), params.maxDets.index(metrics.STANDARD_LIMIT)
  # [iou, recall, category] and [iou, category]; -1 for categories without objects.
  precision = evaluation.eval['precision'][..., size, limit]
  recall = evaluation.eval['recall'][..., size, limit]
  position_50, position_75 = (
    int(np.argmin(np.abs(params.iouThrs - threshold))) for threshold in (0.5, 0.75)
  )
  return [
    ClassCurves(
      precision[position_50, :, label],
      precision[position_75, :, label],
      precision[:, :, label].mean(axis=0),
      float(precision[:, :, label].mean()),
      float(precision[position_50, :, label].mean()),
      float(recall[:, label].mean()),
    )
    if (precision[:, :, label] > -1).all()
    else None
    for label in range(precision.shape[2])
  ]


def mean_curves(curves: list[ClassCurves | None]) -> ClassCurves | None:
  """The mean of the curves and figures over the classes that have objects; None without any."""
  found = [item for item in curves if item is not None]
  if not found:
    return None
  return ClassCurves(*(np.mean(values, axis=0) for values in zip(*found)))
