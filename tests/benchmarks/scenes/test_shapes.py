"""Tests of the outlines of things."""

import numpy as np
import pytest

from benchmarks.scenes import shapes


@pytest.mark.parametrize('name', shapes.SHAPES)
def test_a_shape_is_centered_and_its_longest_side_is_1(name):
  for seed in range(5):
    points = np.concatenate(shapes.draw(name, np.random.default_rng(seed)))
    low, high = points.min(0), points.max(0)
    assert (high - low).max() == pytest.approx(1)
    np.testing.assert_allclose(low + high, 0, atol=1e-12)


@pytest.mark.parametrize('name', shapes.SHAPES)
def test_joints_bend_from_thing_to_thing(name):
  first, second = (shapes.draw(name, np.random.default_rng(seed)) for seed in (0, 1))
  # Turned and scaled copies of one outline would have parts with the same proportions.
  ratios = [
    np.array([np.ptp(part @ part.T) for part in parts[-3:]]) / np.ptp(parts[0] @ parts[0].T)
    for parts in (first, second)
  ]
  assert not np.allclose(*ratios, rtol=1e-3)


def test_a_limb_ends_at_its_joint():
  part, end = shapes._limb(np.array([1.0, 2.0]), np.pi / 2, 3.0, 0.5, 0.25)
  np.testing.assert_allclose(end, [1, 5])
  np.testing.assert_allclose(part.min(0), [0.5, 1.5], atol=0.02)
  np.testing.assert_allclose(part.max(0), [1.5, 5.25], atol=0.02)
