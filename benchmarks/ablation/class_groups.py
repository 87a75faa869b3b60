"""Mask AP of the classes that only their surroundings tell apart, and of the others."""

import contextlib
import io
import json
import os
import statistics
from typing import Any

from pycocotools import coco, cocoeval

from benchmarks.ablation import runs
from benchmarks.scenes import painting
from htc_tf.evaluation import metrics

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
  by_class = _average_precisions(annotations, path)
  for name, is_context in zip(FIGURES, (True, False)):
    figures[name] = statistics.mean(
      value for class_name, value in by_class.items() if (class_name in CONTEXT) == is_context
    )


def _average_precisions(annotations: str, results: str) -> dict[str, float]:
  """Mask AP of each class that the annotations have objects of, from 0 to 1, by pycocotools."""
  with open(results, encoding='utf-8') as file:
    detections = json.load(file)
  with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress.
    truth = coco.COCO(annotations)
    names = {id_: category['name'] for id_, category in truth.cats.items() if truth.catToImgs[id_]}
    if not detections:  # `loadRes` needs one.
      return dict.fromkeys(names.values(), 0.0)
    evaluation = cocoeval.COCOeval(truth, truth.loadRes(detections), 'segm')
    evaluation.evaluate()
    evaluation.accumulate()
  found = metrics.average_precision_by_category(evaluation, names, 'segm')
  return dict(zip(names.values(), found.values()))
