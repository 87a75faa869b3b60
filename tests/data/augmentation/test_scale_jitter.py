"""Tests of random scaling."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.augmentation.base import PlacementPlan
from htc_tf.data.augmentation.scale_jitter import ScaleJitter
from htc_tf.errors import ConfigError
from tests.augmented_record import over_seeds

PLAN = PlacementPlan(scale=tf.constant(3.0, tf.float64), flip_yx=tf.constant([True, False]))


def factor(augmentation, seed):
  """The random factor on the scale."""
  return float(augmentation.change_plan(PLAN, tf.constant([seed, 1])).scale / PLAN.scale)


def test_factors_are_spread_over_the_range():
  augmentation = ScaleJitter(min_factor=0.5, max_factor=2.0)
  plans = over_seeds(lambda seed: augmentation.change_plan(PLAN, seed), 200)
  factors = [plan.scale / 3 for plan in plans]
  assert 0.5 <= min(factors) < 0.6 and 1.9 < max(factors) <= 2.0
  assert np.mean(factors) == pytest.approx(1.25, abs=0.1)
  assert augmentation.may_crop


def test_factors_of_1_change_nothing():
  augmentation = ScaleJitter(1.0, 1.0)
  assert augmentation.change_plan(PLAN, tf.constant([0, 1])) is PLAN
  assert not augmentation.may_crop


def test_a_fixed_factor_is_applied_to_every_image():
  augmentation = ScaleJitter(1.5, 1.5)
  assert [factor(augmentation, seed) for seed in range(5)] == [pytest.approx(1.5)] * 5


def test_the_image_is_not_mirrored():
  plan = ScaleJitter(0.5, 2.0).change_plan(PLAN, tf.constant([0, 1]))
  assert plan.flip_yx.numpy().tolist() == [True, False]


def test_the_same_seed_gives_the_same_factor():
  augmentation = ScaleJitter(0.5, 2.0)
  assert factor(augmentation, 7) == factor(augmentation, 7) != factor(augmentation, 8)


@pytest.mark.parametrize(
  'min_factor,max_factor', [(1.2, 0.8), (0.0, 1.0), (-1.0, 1.0), (float('nan'), 1.0)]
)
def test_factors_that_are_not_a_range_are_refused(min_factor, max_factor):
  with pytest.raises(
    ConfigError, match=f'scale_jitter is not a range.*0 < min_factor.*Got: min_factor={min_factor}'
  ):
    ScaleJitter(min_factor, max_factor)
