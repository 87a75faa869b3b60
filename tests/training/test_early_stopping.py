"""Tests of the end of a training whose evaluations do not get better."""

import math

import pytest

from htc_tf.training.best_checkpoint import Best
from htc_tf.training.early_stopping import EarlyStopping


def stopping(values, patience, comparison='higher'):
  return EarlyStopping('segm_AP', patience, comparison, list(enumerate(values, 1)))


@pytest.mark.parametrize(
  'values,comparison,best,stops',
  [
    ([], 'higher', None, False),
    ([0.1, 0.2, 0.3], 'higher', Best(3, 0.3), False),
    ([0.1, 0.3, 0.2], 'higher', Best(2, 0.3), False),
    ([0.1, 0.3, 0.2, 0.1], 'higher', Best(2, 0.3), True),
    ([0.3, 0.3, 0.3], 'higher', Best(1, 0.3), True),  # An equal figure is not better.
    ([0.3, 0.2, 0.31], 'higher', Best(3, 0.31), False),
    ([0.3, 0.2, 0.4], 'lower', Best(2, 0.2), False),
    ([0.2, 0.3, 0.4], 'lower', Best(1, 0.2), True),
    ([-1, -1, -1, -1], 'higher', None, False),  # No object counts for the figure.
    ([0.5, -1, -1, -1], 'higher', Best(1, 0.5), False),
    ([-1, 0.5, -1], 'lower', Best(2, 0.5), False),
    ([0.5, math.nan, math.nan], 'higher', Best(1, 0.5), False),
  ],
)
def test_a_run_stops_after_two_evaluations_that_are_not_better(values, comparison, best, stops):
  found = stopping(values, 2, comparison)
  assert found.best == best
  assert found.stops == stops


def test_without_patience_a_run_never_stops():
  assert not stopping([0.5, *[0.1] * 100], 0).stops


def test_more_patience_lets_a_run_that_stopped_go_on():
  values = [0.5, 0.1, 0.1]
  assert stopping(values, 2).stops
  assert not stopping(values, 3).stops


def test_a_run_that_stops_says_why_and_how_to_go_on():
  text = stopping([0.25, 0.5, 0.1, 0.1], 2).describe()
  assert 'segm_AP was best at step 2, 50.0, and not better in the 2 evaluations since then' in text
  assert 'set trainer.patience to a larger number, or to 0' in text


def test_the_last_evaluation_is_known_also_if_nothing_counts_for_its_figure():
  assert stopping([], 2).last_step is None
  assert stopping([0.5, -1], 2).last_step == 2
