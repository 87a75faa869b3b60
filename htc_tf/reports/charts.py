"""Small charts as SVG drawings."""

import math
from collections.abc import Iterable, Sequence

from htc_tf.reports import markup, text_width

_WIDTH, _HEIGHT = 620, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 14, 46
_STYLE = (
  'text { font: 13px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, '
  'sans-serif; fill: #5b6775 } .value { fill: #1d2733 } rect { fill: #1668b8 } '
  'rect.range { fill: #bcd6ee } line { stroke: #d9dfe6 } line.mark { stroke: #8a4b00; '
  'stroke-dasharray: 4 3 }'
)
_MAX_BARS = 40


def histogram(counts: Sequence[tuple[int, int]], x_title: str, y_title: str) -> str:
  """A bar for each range of a whole number.

  Args:
    counts: value and its frequency, in ascending order; not empty.
    x_title: what the value is.
    y_title: what is counted.
  """
  smallest, largest = counts[0][0], counts[-1][0]
  width = _round_up((largest - smallest + 1) / _MAX_BARS)
  first = smallest // width * width
  bars = [0] * ((largest - first) // width + 1)
  for value, count in counts:
    bars[(value - first) // width] += count
  highest = _round_up(max(bars))
  step = (_WIDTH - _LEFT - _RIGHT) / len(bars)
  parts = list(_horizontal_lines(highest))
  for index, count in enumerate(bars):
    y = _vertical(count, highest)
    x = _LEFT + index * step
    height = _HEIGHT - _BOTTOM - y
    parts.append(
      f'<rect x="{x + 0.1 * step:.1f}" y="{y:.1f}" width="{0.8 * step:.1f}" height="{height:.1f}"/>'
    )
  every = _round_up(len(bars) / 10)
  for index in range(0, len(bars), every):
    low = first + index * width
    text = str(low) if width == 1 else f'{low}\N{EN DASH}{low + width - 1}'
    middle = _LEFT + (index + 0.5) * step
    parts.append(_text(text, middle, _HEIGHT - _BOTTOM + 17, 'middle'))
  parts += _axis_titles(x_title, y_title)
  return _document(parts, _HEIGHT)


def ranges(
  rows: Sequence[tuple[str, Sequence[float]]], unit: str, marks: Iterable[tuple[float, str]] = ()
) -> str:
  """Distributions on a logarithmic axis: a bar from 5 % to 95 %, a dark one from 25 % to 75 %.

  Args:
    rows: name and the values at `statistics.QUANTILES`, all positive.
    unit: what the values are.
    marks: values that get a dashed line, with their names.
  """
  marks = list(marks)
  values = [value for _, quantiles in rows for value in quantiles] + [mark for mark, _ in marks]
  low, high = math.floor(math.log2(min(values))), math.ceil(math.log2(max(values)))
  left = _LEFT + 90
  height = _TOP + 16 + 44 * len(rows) + _BOTTOM

  def position(value: float) -> float:
    share = (math.log2(value) - low) / max(high - low, 1)
    return left + share * (_WIDTH - left - _RIGHT - 10)

  parts = []
  for exponent in range(low, high + 1, max(1, (high - low) // 8)):
    x = position(2.0**exponent)
    parts.append(_line(x, _TOP, x, height - _BOTTOM))
    parts.append(_text(f'{2.0**exponent:g}', x, height - _BOTTOM + 17, 'middle'))
  for index, (name, quantiles) in enumerate(rows):
    y = _TOP + 28 + 44 * index
    shown = text_width.shortened(name, left - 12)
    parts.append(_text(shown, left - 12, y + 5, 'end'))
    parts += _range_bars([position(value) for value in quantiles], y)
    parts.append(_text(f'{quantiles[3]:.3g}', position(quantiles[3]), y - 12, 'middle', 'value'))
  for value, name in marks:
    parts += _marked(name, position(value), height)
  parts.append(_text(unit, (left + _WIDTH - _RIGHT) / 2, height - 8, 'middle'))
  return _document(parts, height)


def _marked(name: str, x: float, height: int) -> list[str]:
  """A dashed line with its name on the side where it fits."""
  fits = x + 4 + text_width.text_width(name) <= _WIDTH
  y = height - _BOTTOM - 4
  text = _text(name, x + 4, y, 'start') if fits else _text(name, x - 4, y, 'end')
  return [_line(x, _TOP, x, height - _BOTTOM, 'mark'), text]


def _range_bars(positions: Sequence[float], y: float) -> list[str]:
  """The bars of one distribution whose quantiles have the given positions."""
  smallest, low, quarter, median, three_quarters, high, largest = positions
  return [
    f'<line x1="{smallest:.1f}" y1="{y}" x2="{largest:.1f}" y2="{y}" style="stroke: #9aa7b5"/>',
    f'<rect class="range" x="{low:.1f}" y="{y - 8}" width="{max(high - low, 1):.1f}" height="16"/>',
    f'<rect x="{quarter:.1f}" y="{y - 8}" width="{max(three_quarters - quarter, 1):.1f}" '
    'height="16"/>',
    f'<rect x="{median - 1:.1f}" y="{y - 10}" width="2" height="20" style="fill: #1d2733"/>',
  ]


def _round_up(value: float) -> int:
  """The next of 1, 2, 5, 10, 20, 50 ..."""
  power = 10 ** max(0, math.floor(math.log10(max(value, 1))))
  return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _vertical(value: float, highest: float) -> float:
  return _HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _BOTTOM - _TOP)


def _horizontal_lines(highest: int) -> Iterable[str]:
  """Lines at 0, the middle and the top, with their values."""
  for value in sorted({0, highest // 2, highest}):
    y = _vertical(value, highest)
    yield _line(_LEFT, y, _WIDTH - _RIGHT, y)
    yield _text(f'{value:,}', _LEFT - 8, y + 4, 'end')


def _axis_titles(x_title: str, y_title: str) -> list[str]:
  middle = (_TOP + _HEIGHT - _BOTTOM) / 2
  turned = f'transform="rotate(-90 12 {middle:.0f})"'
  return [
    _text(x_title, (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, 'middle'),
    f'<text x="12" y="{middle:.0f}" text-anchor="middle" {turned}>{markup.escape(y_title)}</text>',
  ]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = 'grid') -> str:
  return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(text: str, x: float, y: float, anchor: str, kind: str = 'axis') -> str:
  content = markup.escape(text)
  return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{content}</text>'


def _document(parts: Iterable[str], height: int) -> str:
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
    f'viewBox="0 0 {_WIDTH} {height}"><style>{_STYLE}</style>{"".join(parts)}</svg>'
  )
