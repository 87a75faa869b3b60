"""Tests of the drawings of an evaluation report."""

from xml.etree import ElementTree

import numpy as np
import pytest

from htc_tf.reports import matrix_chart, share_charts
from htc_tf.visualization import fonts

_SVG = '{http://www.w3.org/2000/svg}'


def _parsed(svg, tag):
  return list(ElementTree.fromstring(svg).iter(f'{_SVG}{tag}'))


def test_a_line_goes_through_its_points_and_has_gaps():
  line = share_charts.Line('a & b', [0, 0.5, 0.75, 1], [0, 1, float('nan'), 0.5])
  svg = share_charts.chart('x', 'y', [line])
  (path,) = _parsed(svg, 'path')
  # The axes go from 46 to 328 and from 256 up to 12.
  assert path.get('d') == 'M46 256L187 12M328 134'
  assert 'a & b' in [text.text for text in _parsed(svg, 'text')]


def test_bars_have_their_heights_and_empty_ones_are_left_out():
  svg = share_charts.chart('x', 'y', bars=[share_charts.Bars('', [0.5, float('nan'), 1])])
  heights = [float(item.get('height')) for item in _parsed(svg, 'rect')[1:]]
  assert heights == [122, 244]


def test_cells_have_their_counts_and_shares_as_colors():
  matrix = np.array([[3, 0, 1], [0, 0, 0], [2, 0, 0]])
  svg = matrix_chart.matrix_chart(matrix, ['<cat>', 'dog', 'background'])
  texts = [text.text for text in _parsed(svg, 'text')]
  assert texts.count('<cat>') == 2
  assert [text for text in texts if text.isdigit()] == ['3', '1', '2']
  colors = [item.get('fill') for item in _parsed(svg, 'rect')[1:]]
  white = 'rgb(255,255,255)'
  assert colors[0] == 'rgb(80,142,202)' and colors[1] == white
  # Of five detections of the class, two are on background.
  red = [round(255 + 2 / 5 * (part - 255)) for part in (196, 62, 28)]
  assert colors[6] == f'rgb({red[0]},{red[1]},{red[2]})'
  assert colors[3:6] == [white] * 3


@pytest.mark.parametrize('num', [2, 27])
def test_matrices_of_all_sizes_fit_their_drawing(num):
  svg = matrix_chart.matrix_chart(np.full((num, num), 123456), ['x' * 40] * num)
  root = ElementTree.fromstring(svg)
  width = float(root.get('width'))
  for cell in _parsed(svg, 'rect')[1:]:
    assert float(cell.get('x')) + float(cell.get('width')) <= width
  assert '123k' in [text.text for text in _parsed(svg, 'text')]


@pytest.mark.parametrize(
  'name', ['W' * 30, '猫' * 30, '🐈' * 30, 'ABCDEFGHIJKLMNOPQRSTUVWX', 'i' * 30]
)
def test_wide_names_are_cut_to_the_margin(name):
  svg = matrix_chart.matrix_chart(np.eye(3), [name, 'b', 'background'])
  (shown, turned) = [text for text in _parsed(svg, 'text') if name[:1] in text.text][:2]
  assert shown.text == turned.text and shown.text.endswith('…')
  assert name.startswith(shown.text[:-1]) and len(shown.text) > 8
  # The names end at the margin; Pillow's font is about as wide as that of a browser.
  pixels = fonts.load_font(13).getlength(shown.text)
  if name[0] in '猫🐈':
    pixels = 13 * len(shown.text)
  assert pixels <= float(shown.get('x')) - 22  # The title of the rows is left of it.


def test_names_that_fit_are_whole_and_accents_take_no_place():
  names = ['a' * 18, 'e\u0301' * 18, 'background']
  texts = [text.text for text in _parsed(matrix_chart.matrix_chart(np.eye(3), names), 'text')]
  assert all(texts.count(name) == 2 for name in names)
