"""Charts of shares from 0 to 1 as SVG drawings: lines, points and bars over two axes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.reports import markup

BLUE, ORANGE, GREEN, GRAY = '#1668b8', '#d9730d', '#2a8a4a', '#8893a0'
_TEXT, _GRID = '#1d2733', '#e3e8ee'
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'
_WIDTH, _HEIGHT = 340, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 44
_LEGEND_LINE = 18
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class Line(NamedTuple):
  """A line of a chart.

  Attributes:
    name: its name in the legend; empty for none.
    x: [num_points] from 0 to 1.
    y: [num_points] from 0 to 1; the line has a gap where it is NaN.
    color: its color.
    is_dashed: whether it is dashed.
  """

  name: str
  x: Sequence[float] | np.ndarray
  y: Sequence[float] | np.ndarray
  color: str = BLUE
  is_dashed: bool = False


class Point(NamedTuple):
  """A marked point of a chart.

  Attributes:
    name: its name in the legend; empty for none.
    x: from 0 to 1.
    y: from 0 to 1.
    color: its color.
  """

  name: str
  x: float
  y: float
  color: str = ORANGE


class Bars(NamedTuple):
  """Bars of equal width side by side, from 0 to 1 on the horizontal axis.

  Attributes:
    name: their name in the legend; empty for none.
    heights: [num_bars] from 0 to 1; NaN for no bar.
    color: their color.
  """

  name: str
  heights: Sequence[float] | np.ndarray
  color: str = '#9dc3e6'


def chart(
  x_title: str,
  y_title: str,
  lines: Sequence[Line] = (),
  points: Sequence[Point] = (),
  bars: Sequence[Bars] = (),
) -> str:
  """A chart with both axes from 0 to 1, as an SVG document.

  Args:
    x_title: title of the horizontal axis.
    y_title: title of the vertical axis.
    lines: lines, the last on top.
    points: marked points, above the lines.
    bars: bars, below the lines.
  """
  shown: list[Line | Point | Bars] = [*bars, *lines, *points]
  legend = [(item.name, item.color) for item in shown if item.name]
  height = _HEIGHT + _LEGEND_LINE * len(legend)
  parts = [_axes(x_title, y_title)]
  parts += [_bars(item) for item in bars]
  parts += [_line(item) for item in lines]
  parts += [
    markup.element('circle', '', cx=_x(item.x), cy=_y(item.y), r=4.5, fill=item.color)
    for item in points
  ]
  parts += [_legend_entry(row, *entry) for row, entry in enumerate(legend)]
  return document('\n'.join(parts), _WIDTH, height)


def document(content: str, width: float, height: float) -> str:
  """An SVG document on white.

  Args:
    content: markup inside it.
    width: width in pixels.
    height: height in pixels.
  """
  background = markup.element('rect', '', width=width, height=height, fill='#ffffff')
  return markup.element(
    'svg',
    background + content,
    xmlns='http://www.w3.org/2000/svg',
    width=width,
    height=height,
    viewBox=f'0 0 {width} {height}',
    font_family=_FONT,
    font_size=13,
    fill=_TEXT,
  )


def text(content: str, x: float, y: float, anchor: str = 'start', **attributes: object) -> str:
  """A text whose start, middle or end is at a point of its base line."""
  return markup.element(
    'text', markup.escape(content), x=number(x), y=number(y), text_anchor=anchor, **attributes
  )


def number(value: float) -> str:
  """A coordinate with as few digits as a drawing needs."""
  return f'{value:.1f}'.removesuffix('.0')


def _x(share: float) -> str:
  return number(_LEFT + share * (_WIDTH - _LEFT - _RIGHT))


def _y(share: float) -> str:
  return number(_TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM))


def _axes(x_title: str, y_title: str) -> str:
  parts = []
  for tick in _TICKS:
    for ends in ((_x(tick), _y(0), _x(tick), _y(1)), (_x(0), _y(tick), _x(1), _y(tick))):
      sides = dict(zip(('x1', 'y1', 'x2', 'y2'), ends))
      parts.append(markup.element('line', '', **sides, stroke=_GRID))
    parts.append(text(f'{tick:g}', float(_x(tick)), _HEIGHT - _BOTTOM + 17, 'middle', fill=GRAY))
    parts.append(text(f'{tick:g}', _LEFT - 7, float(_y(tick)) + 4, 'end', fill=GRAY))
  parts.append(text(x_title, (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - _BOTTOM + 36, 'middle'))
  middle = (_TOP + _HEIGHT - _BOTTOM) / 2
  turned = f'rotate(-90 13 {number(middle)})'
  parts.append(text(y_title, 13, middle, 'middle', transform=turned))
  return '\n'.join(parts)


def _line(line: Line) -> str:
  """The line as one path; a gap starts it anew."""
  commands = []
  is_open = False
  for x, y in zip(line.x, line.y):
    if np.isnan(y):
      is_open = False
      continue
    commands.append(f'{"L" if is_open else "M"}{_x(float(x))} {_y(float(y))}')
    is_open = True
  return markup.element(
    'path',
    '',
    d=''.join(commands) or 'M0 0',
    fill='none',
    stroke=line.color,
    stroke_width=2,
    stroke_linejoin='round',
    stroke_dasharray='5 4' if line.is_dashed else None,
  )


def _bars(bars: Bars) -> str:
  width = (_WIDTH - _LEFT - _RIGHT) / len(bars.heights)
  return '\n'.join(
    markup.element(
      'rect',
      '',
      x=number(_LEFT + index * width + 1),
      y=_y(float(height)),
      width=number(width - 2),
      height=number(float(_y(0)) - float(_y(float(height)))),
      fill=bars.color,
    )
    for index, height in enumerate(bars.heights)
    if not np.isnan(height)
  )


def _legend_entry(row: int, name: str, color: str) -> str:
  y = _HEIGHT + _LEGEND_LINE * row
  mark = markup.element('rect', '', x=_LEFT, y=y, width=14, height=10, rx=2, fill=color)
  return mark + text(name, _LEFT + 21, y + 10)
