"""Tests of the curves of single classes against COCOeval."""

import numpy as np
import pytest

from htc_tf import processes
from htc_tf.evaluation import curves, matching, metrics
from tests import evaluation_cases


def test_curves_and_figures_are_those_of_cocoeval():
  case = evaluation_cases.random_case(6, crowds=True)
  evaluation = matching.evaluate(
    case.ground_truth, case.results, case.category_ids, 'segm', 300, processes.WorkerPool(1)
  )
  found = curves.class_curves(evaluation)
  assert found[-1] is None  # The class has no object.
  precision = evaluation.eval['precision'][:, :, :, 0, 2]  # with 100 detections
  for label, item in enumerate(found[:-1]):
    np.testing.assert_array_equal(item.at_50, precision[0, :, label])
    np.testing.assert_array_equal(item.at_75, precision[5, :, label])
    np.testing.assert_allclose(item.mean, precision[:, :, label].mean(0))
    assert item.ar == evaluation.eval['recall'][:, label, 0, 2].mean()
  mean = curves.mean_curves(found)
  figures = metrics.summary(evaluation, 'segm', 300)
  assert mean.ap == pytest.approx(figures['segm_AP'], abs=1e-12)
  assert mean.ap50 == pytest.approx(figures['segm_AP50'], abs=1e-12)
  assert mean.ar == pytest.approx(figures['segm_ARmax100'], abs=1e-12)
  assert mean.at_50.mean() == pytest.approx(mean.ap50)


def test_without_objects_there_is_no_mean():
  assert curves.mean_curves([None, None]) is None
