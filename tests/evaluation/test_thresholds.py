"""Tests of the score thresholds that maximize F1."""

import numpy as np
import pytest

from htc_tf.evaluation import image_matches, thresholds
from tests import evaluation_cases


def _best(scores, is_true, num_objects):
  return thresholds.best_point(np.array(scores), np.array(is_true, bool), num_objects)


def test_the_threshold_separates_the_detections_that_are_worth_it():
  # F1 with 1 to 4 detections: 2/5, 2/6, 4/7, 4/8.
  point = _best([0.9, 0.8, 0.437, 0.2], [1, 0, 1, 0], 4)
  assert point == (0.43, pytest.approx(2 / 3), pytest.approx(2 / 4), pytest.approx(4 / 7))


def test_detections_need_no_order():
  assert _best([0.2, 0.437, 0.9, 0.8], [0, 1, 1, 0], 4) == _best(
    [0.9, 0.8, 0.437, 0.2], [1, 0, 1, 0], 4
  )


def test_the_threshold_has_as_many_decimals_as_it_needs():
  assert _best([0.4371, 0.4365], [1, 0], 1).threshold == 0.437
  assert _best([0.43711, 0.43709], [1, 0], 1).threshold == 0.4371
  close = np.nextafter(0.4371, 0)
  assert _best([0.4371, close], [1, 0], 1).threshold == 0.4371


def test_a_written_threshold_is_the_threshold():
  close = float(np.nextafter(0.4371, 1))
  values = [0.05, 0.43711, 12345.678, -8.0, 0.0, 1e-05, 0.4371, close]
  texts = [thresholds.written(value) for value in values]
  assert [float(text) for text in texts] == values
  assert texts[:5] == ['0.05', '0.43711', '12345.678', '-8', '0']


def test_a_column_of_thresholds_has_the_decimals_that_all_need():
  assert thresholds.num_decimals([]) == thresholds.num_decimals([None, 0.0, 0.5, -8.0]) == 2
  assert thresholds.num_decimals([0.05, None, 0.43711]) == 5
  assert thresholds.num_decimals([1e-05, 0.5]) == 5


def test_equal_scores_are_on_one_side():
  point = _best([0.5, 0.5, 0.5], [1, 0, 0], 1)
  assert point.precision == pytest.approx(1 / 3) and point.recall == 1
  assert point.threshold == 0.5


def test_of_equal_f1_the_higher_threshold_is_taken():
  # F1 is 2 * 1 / (1 + 3) and, with three detections, 2 * 2 / (5 + 3).
  assert _best([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 0, 0, 1], 3).threshold == 0.9


@pytest.mark.parametrize(
  'scores, is_true, num_objects', [([], [], 0), ([], [], 3), ([0.5], [0], 0)]
)
def test_without_right_detections_there_is_no_threshold(scores, is_true, num_objects):
  assert _best(scores, is_true, num_objects) == (None, 0, 0, 0)


@pytest.mark.parametrize('seed', range(5))
def test_no_score_gives_a_larger_f1(seed):
  images = evaluation_cases.random_case(seed).matches()
  detections = image_matches.detection_arrays(images)
  counts = image_matches.count_objects(images, 4)
  points = thresholds.best_points(detections, counts)
  assert points[-1].threshold is None  # This class has no object.
  for label, point in enumerate(points[:-1]):
    own = detections.labels == label
    scores, is_true = detections.scores[own], detections.is_true[own]

    def f1(threshold, scores=scores, is_true=is_true, count=counts[label]):
      kept = scores >= threshold
      return 2 * is_true[kept].sum() / (kept.sum() + count)

    assert f1(point.threshold) == pytest.approx(point.f1)
    assert point.f1 == pytest.approx(max(map(f1, scores)))
    assert point.f1 == pytest.approx(
      2 * point.precision * point.recall / (point.precision + point.recall)
    )
