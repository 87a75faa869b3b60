"""Tests of the places of tiles."""

import numpy as np
import pytest

from htc_tf.data.pixel_box import Box
from htc_tf.errors import InputError
from htc_tf.serving.tiling import Tiling, tiling_of


def test_tiles_of_one_size_are_row_by_row_and_the_last_ones_are_moved_inwards():
  places = Tiling(10, 4).places((12, 25))
  assert places == [
    Box(top, left, top + 10, left + 10) for top in (0, 2) for left in (0, 6, 12, 15)
  ]


@pytest.mark.parametrize('image_hw', [(11, 10), (10, 11), (30, 7), (7, 30), (64, 33)])
@pytest.mark.parametrize('overlap', [0, 3, 9])
def test_every_pixel_is_in_a_tile_and_neighbors_share_the_overlap(image_hw, overlap):
  tiling = Tiling(10, overlap)
  assert tiling.cuts(image_hw)
  places = tiling.places(image_hw)
  seen = np.zeros(image_hw, int)
  for place in places:
    part = place.crop(seen)
    assert part.shape == tuple(min(10, side) for side in image_hw)
    part += 1
  assert seen.min() >= 1
  tops, lefts = (sorted({place[axis] for place in places}) for axis in (0, 1))
  for starts in (tops, lefts):
    assert all(step <= 10 - overlap for step in np.diff(starts))


@pytest.mark.parametrize('image_hw', [(10, 10), (1, 10), (9, 4)])
def test_an_image_that_fits_one_tile_is_not_cut(image_hw):
  assert not Tiling(10, 4).cuts(image_hw)
  assert Tiling(10, 4).places(image_hw) == [Box(0, 0, *image_hw)]


@pytest.mark.parametrize(
  'size, overlap, message',
  [
    (100, None, 'less than the tile size 100. Got: 128.*smaller than the default overlap'),
    (100, 100, 'less than the tile size 100. Got: 100'),
    (100, -1, 'Got: -1'),
    (0, 0, 'tile size is out of range'),
    (None, 64, 'overlap without tiles'),
  ],
)
def test_options_out_of_range_are_errors(size, overlap, message):
  with pytest.raises(InputError, match=message):
    tiling_of(size, overlap)


def test_options():
  assert tiling_of(None, None) is None
  assert tiling_of(1024, None) == Tiling(1024, 128)
  assert tiling_of(64, 0) == Tiling(64, 0)
