"""Tables as part of an HTML page."""

import math
import numbers
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, TypeGuard

from htc_tf.errors import InputError
from htc_tf.reports import markup

MISSING = '\N{EN DASH}'


class Bar(NamedTuple):
  """A cell that shows a share as a horizontal bar.

  Attributes:
    share: length of the bar as a share of the width of the cell, 0 to 1.
  """

  share: float


Cell: TypeAlias = str | int | float | Bar | None


def table_markup(
  header: Sequence[str],
  rows: Sequence[Sequence[Cell]],
  caption: str = '',
  decimals: int | Sequence[int] = 1,
) -> str:
  """A table whose numbers are aligned at the right.

  Args:
    header: title of each column.
    rows: cells of each row: text, whole numbers (with separators of thousands), other numbers,
      bars; None and NaN are shown as a dash.
    caption: text above the table.
    decimals: decimal places of numbers that are not whole by type, for all columns or for each.

  Raises:
    InputError: a row, or `decimals`, has another length than the header.
  """
  _check_lengths(header, rows, decimals)
  places = [decimals] * len(header) if isinstance(decimals, int) else decimals
  kinds = [_kind([row[column] for row in rows]) for column in range(len(header))]
  titles = ''.join(
    markup.element('th', markup.escape(title), scope='col', class_=kind)
    for title, kind in zip(header, kinds)
  )
  lines = [_row(row, kinds, places) for row in rows]
  content = markup.element('caption', markup.escape(caption)) if caption else ''
  content += markup.element('thead', markup.element('tr', titles))
  content += markup.element('tbody', '\n'.join(lines))
  # A wide table is scrolled by itself; without a tab stop that would need a mouse.
  return markup.element('div', markup.element('table', content), class_='table', tabindex=0)


def formatted(value: Cell, decimals: int = 1) -> str:
  """A number or text as it is written in a cell."""
  if value is None or (_is_number(value) and math.isnan(value)):
    return MISSING
  if not _is_number(value):
    return str(value)
  is_whole = isinstance(value, numbers.Integral)
  return f'{value:,}' if is_whole else f'{value:,.{decimals}f}'


def _check_lengths(
  header: Sequence[str], rows: Sequence[Sequence[Cell]], decimals: int | Sequence[int]
) -> None:
  """Raise InputError unless there is a cell, and a number of decimal places, for each column."""
  lengths = {len(row) for row in rows}
  if not isinstance(decimals, int):
    lengths.add(len(decimals))
  if lengths - {len(header)}:
    raise InputError(
      'A table cannot be written',
      expected=f'{len(header)} cells in each row, as in the header',
      got=f'{sorted(lengths)} cells',
    )


def _is_number(value: Cell) -> TypeGuard[float]:
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _kind(cells: Sequence[Cell]) -> str | None:
  """The style of a column: of bars, of numbers (also if all are missing), or None for text."""
  present = [cell for cell in cells if cell is not None]
  if present and all(isinstance(cell, Bar) for cell in present):
    return 'bar'
  if cells and all(_is_number(cell) for cell in present):
    return 'number'
  return None


def _row(row: Sequence[Cell], kinds: Sequence[str | None], places: Sequence[int]) -> str:
  """The markup of one row."""
  cells = []
  for cell, kind, decimals in zip(row, kinds, places):
    if isinstance(cell, Bar):
      percent = 100 * min(max(cell.share, 0.0), 1.0) if math.isfinite(cell.share) else 0.0
      content = markup.element('span', '', style=f'width:{percent:.2f}%')
    else:
      content = markup.escape(formatted(cell, decimals))
    cells.append(markup.element('td', content, class_=kind))
  return markup.element('tr', ''.join(cells))
