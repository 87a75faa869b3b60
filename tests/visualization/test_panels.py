"""Tests of panels and of the writing of pictures."""

import numpy as np
import pytest
from PIL import Image

from htc_tf.errors import InputError
from htc_tf.visualization import panels


def _noise(*shape):
  return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def test_panels_stand_side_by_side_under_titles():
  left, right = _noise(450, 420), _noise(450, 400)
  picture = panels.side_by_side([left, right], ['image', 'truth'])
  top = picture.shape[0] - 450 - 8
  assert picture.shape[1] == 8 + 420 + 8 + 400 + 8
  np.testing.assert_array_equal(picture[top:-8, 8:428], left)
  np.testing.assert_array_equal(picture[top:-8, 436:836], right)
  assert (picture[:top, 8:60] < 128).any() and (picture[:top, 436:480] < 128).any()
  assert (picture[:, :8] == 255).all() and (picture[:, 428:436] == 255).all()


def test_small_panels_are_enlarged_and_made_equally_high():
  picture = panels.side_by_side([_noise(50, 100), _noise(100, 50)], ['a', 'b'])
  assert picture.shape[1] == 8 + 1600 + 8 + 400 + 8
  assert 800 < picture.shape[0] < 860


def test_extreme_panels_stay_bounded():
  picture = panels.side_by_side([_noise(10, 1500)], ['a'])
  assert picture.shape[1] < 2200


def test_long_titles_are_cut():
  picture = panels.side_by_side([_noise(400, 400)], ['a very long title ' * 20])
  assert picture.shape[1] == 416
  assert (picture[:, -8:] == 255).all()


@pytest.mark.parametrize('titles', [[], ['a', 'b']])
def test_number_of_titles_is_checked(titles):
  with pytest.raises(InputError, match='as many titles'):
    panels.side_by_side([_noise(5, 5)], titles)
  with pytest.raises(InputError, match='0 pictures'):
    panels.side_by_side([], [])


def test_written_picture_reads_back(tmp_path):
  image = _noise(20, 30)
  panels.write_image(tmp_path / 'new' / 'picture.png', image)
  with Image.open(tmp_path / 'new' / 'picture.png') as picture:
    np.testing.assert_array_equal(np.array(picture), image)
  assert [path.name for path in (tmp_path / 'new').iterdir()] == ['picture.png']


@pytest.mark.parametrize('name', ['a.jpg', 'a.JPEG', 'a.webp'])
def test_other_formats_go_by_the_ending(tmp_path, name):
  panels.write_image(tmp_path / name, np.full((20, 30, 3), 77, np.uint8))
  with Image.open(tmp_path / name) as picture:
    assert abs(np.array(picture.convert('RGB')).astype(int) - 77).max() <= 3


def test_unknown_endings_and_arrays_are_refused(tmp_path):
  with pytest.raises(InputError, match=r'one of .png'):
    panels.write_image(tmp_path / 'a.tiff', _noise(5, 5))
  with pytest.raises(InputError, match='no ending'):
    panels.write_image(tmp_path / 'a', _noise(5, 5))
  with pytest.raises(InputError, match='of float64'):
    panels.write_image(tmp_path / 'a.png', np.zeros((5, 5, 3)))
  assert not list(tmp_path.iterdir())
