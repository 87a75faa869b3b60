"""Box and mask AP of the detections of either side, by pycocotools alone."""

import contextlib
import copy
import io
import os
from collections.abc import Sequence
from typing import Any

from pycocotools import coco, cocoeval

# Position of each figure in `COCOeval.stats`.
_FIGURES = {'AP': 0, 'AP50': 1, 'AP75': 2}


def figures(annotation_file: str, results: Sequence[dict[str, Any]]) -> dict[str, float]:
  """`bbox_AP`, `bbox_AP50`, `bbox_AP75`, and the same as `segm_*`, in [0, 1].

  Args:
    annotation_file: path of a COCO instances file.
    results: COCO results with `bbox` and `segmentation`; not modified.
  """
  with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress.
    truth = coco.COCO(os.fspath(annotation_file))
    found = {}
    for kind in ('bbox', 'segm'):
      stats = _stats(truth, copy.deepcopy(list(results)), kind)
      found.update({f'{kind}_{name}': float(stats[i]) for name, i in _FIGURES.items()})
  return found


def _stats(truth: coco.COCO, results: list[dict[str, Any]], kind: str) -> Sequence[float]:
  if not results:  # `loadRes` needs one.
    return [0.0] * (1 + max(_FIGURES.values()))
  evaluation = cocoeval.COCOeval(truth, truth.loadRes(results), kind)
  evaluation.evaluate()
  evaluation.accumulate()
  evaluation.summarize()
  return evaluation.stats
