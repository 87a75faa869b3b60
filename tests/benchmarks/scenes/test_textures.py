"""Tests of the surfaces of stuff and things."""

import numpy as np
import pytest

from benchmarks.scenes import textures


@pytest.mark.parametrize('grain', [(1, 1), (4, 16), (300, 300)])
def test_noise_has_the_size_and_no_large_mean(grain):
  values = textures.noise((40, 60), grain, np.random.default_rng(1))
  assert values.shape == (40, 60) and values.dtype == np.float32
  assert abs(values.mean()) < 2 and 0.3 < values.std() < 2


def test_noise_changes_slowly_along_the_coarser_grain():
  values = textures.noise((64, 64), (16, 2), np.random.default_rng(2))
  steps = [np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1)]
  assert steps[1] > 3 * steps[0]


@pytest.mark.parametrize('kind', textures.STUFF)
def test_stuff_has_a_texture(kind):
  surface = textures.stuff(kind, 64, 2, np.random.default_rng(3))
  assert surface.shape == (64, 64, 3) and surface.dtype == np.float32
  assert (surface.std((0, 1)) > 5).all()


def test_things_have_two_colors_at_most():
  points = np.stack(np.meshgrid(np.linspace(0, 1, 30), np.linspace(0, 1, 30)), -1)
  for seed in range(8):
    colors = textures.thing('hull', points, 60, np.random.default_rng(seed)).reshape(-1, 3)
    # All colors lie between the two, on a line.
    assert np.linalg.matrix_rank(colors - colors[0], tol=0.1) <= 1
    assert colors.min() >= 0 and colors.max() <= 255
