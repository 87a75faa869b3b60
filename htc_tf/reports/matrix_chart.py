"""A confusion matrix as SVG drawing: rows of truth, columns of detections, shares as colors."""

from collections.abc import Sequence

import numpy as np

from htc_tf.reports import markup, text_width
from htc_tf.reports import share_charts as charts

_CELL = 40
_MIN_CELL = 30
_MAX_NAME = 130  # Pixels.
_DARK = 0.55
_BLUE, _RED = (22, 104, 184), (196, 62, 28)


def matrix_chart(matrix: np.ndarray, names: Sequence[str]) -> str:
  """A confusion matrix as an SVG document.

  The color of a cell is its share of the row, and in the row of background its share of the column;
  it is blue on the diagonal and red elsewhere.

  Args:
    matrix: [num, num] counts; the last row and column are background.
    names: name of each row and column.
  """
  shown = [text_width.shortened(name, _MAX_NAME) for name in names]
  margin = 44 + max(map(text_width.text_width, shown))
  cell = max(_MIN_CELL, min(_CELL * 2, 420 // len(names)))
  side = cell * len(names)
  shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
  shares[-1] = matrix[-1] / np.maximum(matrix.sum(axis=0), 1)
  parts = [
    charts.text('detected as', margin + side / 2, 16, 'middle', font_weight=600),
    _turned('truth', 14, margin + side / 2, 'middle', font_weight=600),
  ]
  for row, name in enumerate(shown):
    center = margin + (row + 0.5) * cell
    parts.append(charts.text(name, margin - 8, center + 4, 'end'))
    parts.append(_turned(name, center + 4, margin - 8, 'start'))
    for column in range(len(names)):
      place = (margin + column * cell, margin + row * cell, cell)
      parts.append(
        _cell(place, int(matrix[row, column]), float(shares[row, column]), row == column)
      )
  size = round(margin + side + 8)
  return charts.document('\n'.join(parts), size, size)


def _cell(place: tuple[float, float, float], count: int, share: float, is_diagonal: bool) -> str:
  x, y, side = place
  target = _BLUE if is_diagonal else _RED
  red, green, blue = (round(255 + share * (part - 255)) for part in target)
  square = markup.element(
    'rect',
    '',
    x=charts.number(x),
    y=charts.number(y),
    width=charts.number(side),
    height=charts.number(side),
    fill=f'rgb({red},{green},{blue})',
    stroke='#e3e8ee',
  )
  if not count:
    return square
  label = f'{count}' if count < 10_000 else f'{count / 1000:.0f}k'
  return square + charts.text(
    label,
    x + side / 2,
    y + side / 2 + 4,
    'middle',
    font_size=13 if side >= _CELL else 11,
    fill='#ffffff' if share > _DARK else '#1d2733',
  )


def _turned(content: str, x: float, y: float, anchor: str, **attributes: object) -> str:
  """A text that is read from below."""
  turn = f'rotate(-90 {charts.number(x)} {charts.number(y)})'
  return charts.text(content, x, y, anchor, transform=turn, **attributes)
