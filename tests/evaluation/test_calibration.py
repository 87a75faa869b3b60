"""Tests of the calibration of scores."""

import numpy as np
import pytest

from htc_tf.evaluation.calibration import calibration


def test_the_error_is_the_weighted_mean_of_the_gaps():
  scores = np.array([0.9, 0.94, 0.98, 0.35])
  found = calibration(scores, np.array([True, True, False, True]))
  assert found.counts.tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 3]
  assert found.mean_scores[[3, 9]] == pytest.approx([0.35, 0.94])
  assert found.precisions[[3, 9]] == pytest.approx([1, 2 / 3])
  assert np.isnan(found.precisions[0])
  assert found.expected_error == pytest.approx((3 * (0.94 - 2 / 3) + 0.65) / 4)
  assert found.bias == pytest.approx((3 * (0.94 - 2 / 3) - 0.65) / 4)
  assert found.bias == pytest.approx(scores.mean() - 0.75)


def test_scores_on_borders_belong_to_the_upper_bin_and_one_to_the_last():
  found = calibration(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]))
  assert np.flatnonzero(found.counts).tolist() == [0, 5, 9]


def test_scores_that_are_probabilities_have_no_error():
  scores = np.repeat([0.25, 0.75], 400)
  is_true = np.concatenate([np.arange(400) < 100, np.arange(400) < 300])
  assert calibration(scores, is_true).expected_error == pytest.approx(0)


def test_without_detections_there_is_no_error():
  found = calibration(np.zeros(0), np.zeros(0, bool))
  assert found.expected_error == 0 and found.bias == 0 and not found.counts.any()


@pytest.mark.parametrize('scores', [[-0.1, 0.5], [0.5, 1.1], [35.0, 99.0]])
def test_scores_that_are_no_probabilities_have_no_calibration(scores):
  assert calibration(np.array(scores), np.array([True, False])) is None
