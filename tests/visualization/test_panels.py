"""Tests of panels and of writing image files."""

import numpy as np
import pytest
from PIL import Image

from htc_tf.errors import InputError
from htc_tf.visualization import panels


def _noise(*shape):
  return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def test_panels_are_side_by_side_under_titles():
  left, right = _noise(450, 420), _noise(450, 400)
  combined = panels.side_by_side([left, right], ['image', 'ground truth'])
  top = combined.shape[0] - 450 - 8
  assert combined.shape[1] == 8 + 420 + 8 + 400 + 8
  np.testing.assert_array_equal(combined[top:-8, 8:428], left)
  np.testing.assert_array_equal(combined[top:-8, 436:836], right)
  assert (combined[:top, 8:60] < 128).any() and (combined[:top, 436:480] < 128).any()
  assert (combined[:, :8] == 255).all() and (combined[:, 428:436] == 255).all()


def test_small_panels_are_enlarged_to_one_height():
  combined = panels.side_by_side([_noise(50, 100), _noise(100, 50)], ['a', 'b'])
  assert combined.shape[1] == 8 + 1600 + 8 + 400 + 8
  assert 800 < combined.shape[0] < 860


def test_the_width_of_a_panel_is_bounded():
  combined = panels.side_by_side([_noise(10, 1500)], ['a'])
  assert combined.shape[1] < 2200


def test_a_long_title_is_cut_to_the_width_of_its_panel():
  combined = panels.side_by_side([_noise(400, 400)], ['a very long title ' * 20])
  assert combined.shape[1] == 416
  assert (combined[:, -8:] == 255).all()


@pytest.mark.parametrize('titles', [[], ['a', 'b']])
def test_another_number_of_titles_is_rejected(titles):
  with pytest.raises(InputError, match='as many titles'):
    panels.side_by_side([_noise(5, 5)], titles)
  with pytest.raises(InputError, match='0 images'):
    panels.side_by_side([], [])


def test_a_written_image_is_read_back(tmp_path):
  image = _noise(20, 30)
  panels.write_image(tmp_path / 'new' / 'image.png', image)
  with Image.open(tmp_path / 'new' / 'image.png') as written:
    np.testing.assert_array_equal(np.array(written), image)
  assert [path.name for path in (tmp_path / 'new').iterdir()] == ['image.png']


@pytest.mark.parametrize('name', ['a.jpg', 'a.JPEG', 'a.webp'])
def test_the_suffix_determines_the_format(tmp_path, name):
  panels.write_image(tmp_path / name, np.full((20, 30, 3), 77, np.uint8))
  with Image.open(tmp_path / name) as written:
    assert abs(np.array(written.convert('RGB')).astype(int) - 77).max() <= 3


def test_unknown_suffixes_and_arrays_are_rejected(tmp_path):
  with pytest.raises(InputError, match=r'one of the suffixes .png'):
    panels.write_image(tmp_path / 'a.tiff', _noise(5, 5))
  with pytest.raises(InputError, match='no suffix'):
    panels.write_image(tmp_path / 'a', _noise(5, 5))
  with pytest.raises(InputError, match='of float64'):
    panels.write_image(tmp_path / 'a.png', np.zeros((5, 5, 3)))
  assert not list(tmp_path.iterdir())


def test_a_sheet_has_every_image_at_its_size_in_columns():
  small, wide = _noise(30, 40), _noise(50, 100)
  rows = [panels.SheetRow([(small, 'a'), (wide, 'b')]), panels.SheetRow([(wide, 'c')], 'record')]
  sheet = panels.sheet(rows, 100, 'heading')
  assert sheet.shape[1] == 8 + 2 * 108
  for panel, left, count in ((small, 8, 1), (wide, 116, 1), (wide, 8, 1)):
    height, width = panel.shape[:2]
    found = [
      top
      for top in range(sheet.shape[0] - height)
      if np.array_equal(sheet[top : top + height, left : left + width], panel)
    ]
    assert len(found) == count
  without = panels.sheet([rows[0]._replace(heading=''), rows[1]._replace(heading='')], 100, 'x')
  assert without.shape[0] < sheet.shape[0]


@pytest.mark.parametrize('rows', [[], [panels.SheetRow([(_noise(10, 101), 'a')])]])
def test_a_sheet_without_images_or_with_one_that_is_too_wide_is_refused(rows):
  with pytest.raises(InputError, match='none wider than 100'):
    panels.sheet(rows, 100, 'heading')
