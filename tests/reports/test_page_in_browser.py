"""A test that a real browser shows a page: its pictures, drawings and bars."""

import numpy as np
import pytest
from PIL import Image

from htc_tf.reports.page import Page
from htc_tf.reports.page_table import Bar
from tests.reports import browser

_RED, _GREEN, _BLUE = (250, 0, 0), (0, 200, 0), (22, 104, 184)


@pytest.fixture(name='screenshot')
def _screenshot(tmp_path):
  """A function that returns the pixels of a page in a window of a width."""
  if browser.PATH is None:
    pytest.skip('no Chromium is installed')

  def take(page, width):
    page.write(tmp_path / 'page.html')
    target = tmp_path / 'page.png'
    flags = (f'--window-size={width},1200', f'--screenshot={target}')
    browser.browse(tmp_path / 'page.html', tmp_path, *flags)
    return np.asarray(Image.open(target).convert('RGB')).astype(int)

  return take


def _extent(pixels, color):
  """(height, width) of the area of a color."""
  rows, columns = np.nonzero(np.abs(pixels - color).max(axis=-1) < 8)
  return rows.max() + 1 - rows.min(), columns.max() + 1 - columns.min()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize('width', [1200, 500])
def test_a_browser_shows_pictures_drawings_and_bars(screenshot, width):
  page = Page('Title', 'Summary')
  section = page.section('Pictures')
  section.picture(np.full([100, 800, 3], _RED, np.uint8), 'red')
  section.drawing(
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40">'
    '<rect width="300" height="40" fill="rgb(0,200,0)"/></svg>',
    'green',
  )
  section.table(['name', 'share'], [['x', Bar(0.5)], ['y' * 300, Bar(0.25)]])
  pixels = screenshot(page, width)
  # A picture is reduced to the width of the page, with its proportions.
  height, picture_width = _extent(pixels, _RED)
  assert picture_width == (800 if width == 1200 else 500 - 2 * 14)
  assert abs(height - picture_width / 8) <= 2
  assert _extent(pixels, _GREEN) == (40, 300)
  assert _extent(pixels, _BLUE)[1] > 30
