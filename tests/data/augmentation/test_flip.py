"""Tests of random mirroring."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.augmentation.base import PlacementPlan
from htc_tf.data.augmentation.flip import Flip
from htc_tf.errors import ConfigError
from tests.augmented_record import over_seeds

PLAN = PlacementPlan(scale=tf.constant(1.5, tf.float64), flip_yx=tf.constant([False, False]))


def flipped(augmentation, seed, plan=PLAN):
  """Whether rows and columns are mirrored after the augmentation."""
  return augmentation.change_plan(plan, tf.constant([seed, 1])).flip_yx.numpy().tolist()


def test_each_axis_is_mirrored_with_its_probability():
  augmentation = Flip(horizontal=0.5, vertical=0.25)
  plans = over_seeds(lambda seed: augmentation.change_plan(PLAN, seed), 400)
  shares = np.mean([plan.flip_yx for plan in plans], axis=0)
  np.testing.assert_allclose(shares, [0.25, 0.5], atol=0.08)


@pytest.mark.parametrize('horizontal', [0.0, 1.0])
@pytest.mark.parametrize('vertical', [0.0, 1.0])
def test_probabilities_of_0_and_1_are_certain(horizontal, vertical):
  augmentation = Flip(horizontal, vertical)
  for plan in over_seeds(lambda seed: augmentation.change_plan(PLAN, seed), 20):
    assert plan.flip_yx.tolist() == [vertical == 1, horizontal == 1]


def test_a_mirrored_image_is_mirrored_back():
  plan = PLAN._replace(flip_yx=tf.constant([True, False]))
  assert flipped(Flip(1.0, 1.0), 0, plan) == [False, True]


def test_the_scale_is_not_changed_and_the_image_is_not_cropped():
  augmentation = Flip(0.5, 0.5)
  assert augmentation.change_plan(PLAN, tf.constant([0, 1])).scale == 1.5
  assert not augmentation.may_crop


def test_the_same_seed_gives_the_same_result():
  augmentation = Flip(0.5, 0.5)
  first, second = ([flipped(augmentation, seed) for seed in range(20)] for _ in range(2))
  assert first == second


@pytest.mark.parametrize(
  'horizontal,vertical,message',
  [
    (50, 0.0, 'flip.horizontal is out of range. Expected: 0..1. Got: 50. Likely.*percentage'),
    (0.5, -0.1, 'flip.vertical is out of range'),
    (float('nan'), 0.0, 'flip.horizontal is out of range'),
  ],
)
def test_other_probabilities_are_refused(horizontal, vertical, message):
  with pytest.raises(ConfigError, match=message):
    Flip(horizontal, vertical)
