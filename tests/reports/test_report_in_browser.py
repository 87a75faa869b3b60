"""Tests of report pages in a real browser; they are skipped where none is installed."""

import re

import numpy as np
import pytest
from PIL import Image

from htc_tf.evaluation import analysis
from htc_tf.reports import evaluation_report
from tests import evaluation_cases
from tests.reports import browser, html_pages

pytestmark = [
  pytest.mark.browser,
  pytest.mark.skipif(browser.PATH is None, reason='there is no Chromium on PATH'),
]


@pytest.fixture(scope='module', name='report')
def _report(tmp_path_factory):
  """Path of a report with all sections, 40 classes and a hostile name."""
  case = evaluation_cases.random_case(3, num_images=60, num_categories=40)
  case.ground_truth.dataset['categories'][0]['name'] = '<b>&"\'</b>'
  for result in case.results:
    result['segmentation']['counts'] = result['segmentation']['counts'].decode()
  found = analysis.analyze(case.ground_truth, case.results, case.category_ids, True)
  folder = tmp_path_factory.mktemp('report')
  subject = evaluation_report.Subject('model', [('results', 'a.json')], ['a note'])

  def gray(entries):
    return {entry['id']: np.full((200, 200, 3), 90, np.uint8) for entry in entries}

  evaluation_report.write_report(str(folder), subject, found, case.ground_truth, gray)
  return folder / 'report.html'


def test_the_browser_reads_the_page_as_it_is_written(report, tmp_path):
  shown = html_pages.ParsedPage(browser.browse(report, tmp_path, '--dump-dom'))
  written = html_pages.ParsedPage(report.read_text(encoding='utf-8'))
  for tag in ('h1', 'h2', 'td', 'th', 'figcaption', 'summary'):
    assert shown.texts_of(tag) == written.texts_of(tag), tag
  assert len(shown.all('img')) == len(written.all('img')) > 40


# Chromium makes no narrower window than 500 pixels; a frame of 400 stands for a phone.
_FRAME = """<!DOCTYPE html><html><body style="margin:0"><iframe id="f" style="border:0;
width:{width}px;height:900px" src="file://{path}"></iframe><p id="o"></p><script>
onload = () => {{
  const page = document.getElementById('f').contentDocument;
  const images = [...page.images];
  document.getElementById('o').textContent = 'wide ' + page.documentElement.scrollWidth
    + ' broken ' + images.filter(image => !image.naturalWidth).length + ' of ' + images.length
    + ' row ' + Math.max(...[...page.querySelectorAll('tr')].map(row => row.offsetHeight))
    + ' caption ' + Math.max(...[...page.querySelectorAll('caption')].map(
      caption => Math.ceil(caption.getBoundingClientRect().right)));
}};
</script></body></html>"""


@pytest.mark.parametrize('width', [400, 1200])
def test_the_page_fits_its_window_and_all_pictures_are_drawn(report, tmp_path, width):
  frame = tmp_path / 'frame.html'
  frame.write_text(_FRAME.format(width=width, path=report))
  dom = browser.browse(
    frame, tmp_path, '--allow-file-access-from-files', '--virtual-time-budget=8000', '--dump-dom'
  )
  wide, broken, total = map(int, re.search(r'wide (\d+) broken (\d+) of (\d+)', dom).groups())
  assert wide <= width and broken == 0 and total > 40
  row, caption = map(int, re.search(r'row (\d+) caption (\d+)', dom).groups())
  assert row <= 140 and caption <= width  # No column of text is squeezed, no caption is cut.


def test_a_screenshot_shows_the_page(report, tmp_path):
  picture = tmp_path / 'page.png'
  browser.browse(report, tmp_path, f'--screenshot={picture}', '--window-size=1200,3000')
  pixels = np.asarray(Image.open(picture).convert('RGB'))
  assert pixels.shape[:2] == (3000, 1200)
  dark = (pixels.max(axis=-1) < 90).any(axis=1)  # Rows with text.
  assert dark[:600].sum() > 60 and dark[2000:].sum() > 100
