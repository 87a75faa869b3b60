"""Diagrams of boxes and arrows as SVG."""

import html
from collections.abc import Sequence
from typing import NamedTuple

_LINE = 16  # Height of a line of text in pixels.
_FILLS = {
  'data': '#f4f4f4',
  'layer': '#dbe9f9',
  'branch': '#e2f2df',
  'step': '#fdf3d8',
  'loss': '#f9dedc',
}


class Box(NamedTuple):
  """A rectangle with centered text.

  Attributes:
    x: left side in pixels.
    y: upper side in pixels.
    width: width in pixels.
    height: height in pixels.
    text: lines of text.
    kind: 'data', 'layer', 'branch', 'step' or 'loss', which decides on the color.
  """

  x: float
  y: float
  width: float
  height: float
  text: str
  kind: str = 'layer'

  def at(self, across: float, down: float) -> tuple[float, float]:
    """A point in pixels, given as shares of width and height."""
    return self.x + across * self.width, self.y + down * self.height

  @property
  def top(self) -> tuple[float, float]:
    """The middle of the upper side."""
    return self.at(0.5, 0)

  @property
  def bottom(self) -> tuple[float, float]:
    """The middle of the lower side."""
    return self.at(0.5, 1)

  @property
  def left(self) -> tuple[float, float]:
    """The middle of the left side."""
    return self.at(0, 0.5)

  @property
  def right(self) -> tuple[float, float]:
    """The middle of the right side."""
    return self.at(1, 0.5)


class Arrow(NamedTuple):
  """A line with an arrow at its end.

  Attributes:
    points: corners (x, y) in pixels.
  """

  points: Sequence[tuple[float, float]]


def svg(title: str, width: int, height: int, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
  """The text of an SVG file.

  Args:
    title: description for readers that do not see the picture.
    width: width in pixels.
    height: height in pixels.
    boxes: boxes, drawn above the arrows.
    arrows: arrows.
  """
  lines = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
    f'height="{height}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="12">',
    f'<title>{html.escape(title)}</title>',
    '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#444"/></marker></defs>',
    f'<rect width="{width}" height="{height}" fill="#fff"/>',
  ]
  lines += [_arrow(arrow) for arrow in arrows]
  lines += [_box(box) for box in boxes]
  return '\n'.join([*lines, '</svg>', ''])


def _arrow(arrow: Arrow) -> str:
  points = ' '.join(f'{x:g},{y:g}' for x, y in arrow.points)
  return (
    f'<polyline points="{points}" fill="none" stroke="#444" stroke-width="1.4" '
    'marker-end="url(#end)"/>'
  )


def _box(box: Box) -> str:
  x, y = box.at(0.5, 0.5)
  lines = box.text.split('\n')
  first = y - _LINE * (len(lines) - 1) / 2 + 4
  texts = ''.join(
    f'<text x="{x:g}" y="{first + _LINE * index:g}" text-anchor="middle">{html.escape(line)}</text>'
    for index, line in enumerate(lines)
  )
  return (
    f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="5" '
    f'fill="{_FILLS[box.kind]}" stroke="#888"/>{texts}'
  )
