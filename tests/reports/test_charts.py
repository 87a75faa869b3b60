"""Tests of charts, by the geometry of their elements."""

from xml.etree import ElementTree

import pytest

from htc_tf.reports import charts, text_width

_SPACE = '{http://www.w3.org/2000/svg}'


def _elements(svg, tag, kind=None):
  found = ElementTree.fromstring(svg).iter(_SPACE + tag)
  return [item for item in found if kind is None or item.get('class') == kind]


def _texts(svg):
  return [''.join(item.itertext()) for item in _elements(svg, 'text')]


def test_bars_have_heights_in_proportion_to_their_counts():
  svg = charts.histogram([(0, 10), (1, 40), (3, 20)], 'objects', 'images')
  heights = [float(bar.get('height')) for bar in _elements(svg, 'rect')]
  assert len(heights) == 4 and heights[2] == 0
  assert heights[1] == pytest.approx(4 * heights[0], abs=0.2)
  assert heights[3] == pytest.approx(2 * heights[0], abs=0.2)
  assert {'0', '1', '2', '3', '50', 'objects', 'images'} <= set(_texts(svg))


def test_wide_ranges_share_bars_and_keep_all_counts():
  counts = [(value, 1) for value in range(7, 900)]
  svg = charts.histogram(counts, 'objects', 'images')
  bars = _elements(svg, 'rect')
  assert len(bars) <= 40 and '0\N{EN DASH}49' in _texts(svg)
  heights = [float(bar.get('height')) for bar in bars]
  assert heights[0] == pytest.approx(heights[1] * 43 / 50, abs=0.2)
  xs = [float(bar.get('x')) for bar in bars]
  assert xs == sorted(xs) and xs[0] > 0 and xs[-1] < 620


@pytest.mark.parametrize('counts', [[(0, 1)], [(5, 100000)], [(0, 1), (100000, 1)]])
def test_extreme_counts_are_drawn(counts):
  bars = _elements(charts.histogram(counts, 'x', 'y'), 'rect')
  assert 1 <= len(bars) <= 42
  assert all(float(bar.get('height')) <= 160 for bar in bars)


def test_ranges_are_on_a_logarithmic_axis():
  quantiles = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
  svg = charts.ranges([('train', quantiles)], 'pixels', [(16.0, 'tiny <b>')])
  (light,) = _elements(svg, 'rect', 'range')
  dark, median = [bar for bar in _elements(svg, 'rect') if not bar.get('class')]
  assert float(light.get('width')) == pytest.approx(2 * float(dark.get('width')), abs=0.2)
  middle = float(light.get('x')) + float(light.get('width')) / 2
  assert float(median.get('x')) + 1 == pytest.approx(middle, abs=0.2)
  (mark,) = _elements(svg, 'line', 'mark')
  assert float(mark.get('x1')) == pytest.approx(float(dark.get('x')), abs=0.2)
  assert {'train', 'pixels', 'tiny <b>', '32', '4', '256'} <= set(_texts(svg))


def test_equal_values_are_drawn():
  assert _elements(charts.ranges([('a', (7.0,) * 7)], 'pixels'), 'rect')


@pytest.mark.parametrize('value', [1.0, 16.0, 1000.0])
@pytest.mark.parametrize('name', ['a_validation_split_of_2017', 'train', '猫' * 30])
def test_names_and_marks_stay_inside_the_drawing(name, value):
  mark = '16 pixels at the network input'
  svg = ElementTree.fromstring(
    charts.ranges([(name, [2, 3, 4, 5, 6, 7, 900])], 'pixels', [(value, mark)])
  )
  found = {'start': 0, 'end': 0}
  for text in svg.iter(f'{_SPACE}text'):
    anchor, x = text.get('text-anchor'), float(text.get('x'))
    if anchor in found:
      found[anchor] += 1
      width = text_width.text_width(text.text)
      left, right = (x, x + width) if anchor == 'start' else (x - width, x)
      assert left >= 0 and right <= float(svg.get('width')), text.text
  assert sum(found.values()) == 2
