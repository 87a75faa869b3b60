"""Mask AP of the classes that only their surroundings tell apart, and of the others."""

import contextlib
import io
import os
from typing import Any

import numpy as np

from benchmarks.ablation import runs
from benchmarks.scenes import painting

# Classes of a shape that has several, depending on the stuff below it.
CONTEXT = tuple(
  name
  for names in painting.CLASS_OF.values()
  if len(set(names.values())) > 1
  for name in names.values()
)
FIGURES = ('context_segm_AP', 'other_segm_AP')


def add(result: dict[str, Any], run: runs.Run, budget: runs.Budget, annotations: str) -> None:
  """Add the figures of both groups of classes to a result, from the detections of the last step.

  A result that has them already, and a run whose detections do not exist, are left as they are.

  Args:
    result: result of a finished run; see `runs.train`.
    run: the run.
    budget: its budget.
    annotations: COCO annotations of the validation pictures.
  """
  folder = os.path.join(run.folder, run.name, 'results')
  path = os.path.join(folder, f'step-{budget.num_steps}.segm.json')
  figures = result['figures']
  if all(name in figures for name in FIGURES) or not os.path.exists(path):
    return
  by_class = average_precisions(annotations, path)
  groups = [name in CONTEXT for name in by_class], [name not in CONTEXT for name in by_class]
  values = np.array(list(by_class.values()))
  figures.update(zip(FIGURES, (float(values[group].mean()) for group in groups)))


def average_precisions(annotations: str, results: str) -> dict[str, float]:
  """Mask AP of each class that the annotations have, from 0 to 1, by pycocotools.

  Args:
    annotations: COCO annotations.
    results: COCO results with masks.
  """
  from pycocotools.coco import COCO
  from pycocotools.cocoeval import COCOeval

  with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(annotations)
    evaluation = COCOeval(truth, truth.loadRes(results), 'segm')
    evaluation.evaluate()
    evaluation.accumulate()
  # By IoU, recall, class, range of areas (the first is all) and number of detections (the last).
  precision = evaluation.eval['precision'][:, :, :, 0, -1]
  found = {}
  for index, category in enumerate(evaluation.params.catIds):
    known = precision[:, :, index][precision[:, :, index] >= 0]
    if known.size:
      found[truth.cats[category]['name']] = float(known.mean())
  return found
