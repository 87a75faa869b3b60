"""Tests of the whole analysis against COCOeval, and of its empty cases."""

import numpy as np
import pytest
from pycocotools import cocoeval

from htc_tf.evaluation import analysis, matching
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation.error_kinds import ErrorKind
from tests import evaluation_cases

_NAMES = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax1', 'ARmax10', 'ARmax100']
_NAMES += ['ARs', 'ARm', 'ARl']
_BOX = (0, 0, 100, 100)


def analyzed(case, has_masks=False, **arguments):
  return analysis.analyze(
    case.ground_truth, case.results, case.category_ids, has_masks, **arguments
  )


def test_figures_are_those_of_pycocotools():
  case = evaluation_cases.random_case(8, num_images=20, crowds=True)
  found = analyzed(case, has_masks=True)
  for iou_type in ('bbox', 'segm'):
    with ground_truth_lib.silence():
      loaded = case.ground_truth.loadRes(matching.matched_fields(case.results, iou_type))
      evaluation = cocoeval.COCOeval(case.ground_truth, loaded, iou_type)
      evaluation.evaluate()
      evaluation.accumulate()
      evaluation.summarize()
    actual = [found.figures[f'{iou_type}_{name}'] for name in _NAMES]
    assert actual == pytest.approx(evaluation.stats.tolist(), abs=1e-12)
    region = found.by_region[iou_type]
    assert region.errors.ap50 == pytest.approx(evaluation.stats[1], abs=1e-12)
    curves = [item for item in region.class_curves if item is not None]
    assert np.mean([item.ap for item in curves]) == pytest.approx(evaluation.stats[0], abs=1e-12)
  assert found.figures['segm_AP'] != found.figures['bbox_AP']
  assert found.main is found.by_region['segm']


def test_progress_adds_up_to_the_steps():
  case = evaluation_cases.random_case(1)
  steps = []
  analyzed(case, True, on_progress=steps.append)
  assert sum(steps) == analysis.num_steps(case.ground_truth, True) == 48


def test_counts_are_of_objects_without_crowds():
  objects = [(1, 1, _BOX), (1, 1, (120, 0, 20, 20)), (2, 1, (0, 0, 50, 50)), (2, 2, _BOX, True)]
  found = analyzed(evaluation_cases.build(objects, [], num_images=3))
  assert found.num_objects.tolist() == [3, 0] and found.num_images_of.tolist() == [2, 0]
  assert found.num_crowds == 1 and found.num_images == 3
  assert found.objects_by_size == {'small': 1, 'medium': 1, 'large': 1}


def test_categories_are_in_the_order_of_their_ids():
  case = evaluation_cases.build([(1, 2, _BOX)], [(1, 2, _BOX, 0.9)])
  found = analyzed(case._replace(category_ids=[2, 1]))
  assert found.category_ids == (1, 2) and found.names == ('class 1', 'class 2')
  assert found.class_points[0].threshold is None and found.class_points[1].f1 == 1


def test_detections_of_categories_that_are_not_evaluated_do_not_count():
  case = evaluation_cases.build([(1, 1, _BOX), (1, 2, _BOX)], [(1, 2, _BOX, 0.9)])
  found = analyzed(case._replace(category_ids=[1]))
  assert found.num_detections == 0 and found.num_objects.tolist() == [1]
  assert found.main.error_counts[ErrorKind.MISSED] == 1


def test_without_detections_there_is_no_threshold():
  found = analyzed(evaluation_cases.build([(1, 1, _BOX)], []))
  assert found.best_point.threshold is None and found.threshold == 0
  assert found.figures['bbox_AP'] == 0 and found.confusion.tolist() == [
    [0, 0, 1],
    [0, 0, 0],
    [0, 0, 0],
  ]


def test_without_objects_the_figures_are_empty():
  found = analyzed(evaluation_cases.build([], [(1, 1, _BOX, 0.9)]))
  assert found.figures['bbox_AP'] == -1 and found.main.class_curves == [None, None]
  assert found.confusion[-1].tolist() == [1, 0, 0]


def test_errors_above_the_threshold_are_counted_anew():
  # The second detection is below the best threshold; without it, its object is missed.
  objects = [(1, 1, _BOX), (1, 1, (120, 120, 60, 60))]
  detections = [(1, 1, _BOX, 0.9), (1, 1, (120, 120, 60, 20), 0.2)]
  found = analyzed(evaluation_cases.build(objects, detections))
  assert found.threshold == 0.9
  assert {kind: n for kind, n in found.main.error_counts.items() if n} == {
    ErrorKind.LOCALIZATION: 1
  }
  assert {kind: n for kind, n in found.counts_above.items() if n} == {ErrorKind.MISSED: 1}
