"""The table of a training, `results.csv` in its model directory: a row per step."""

import csv
import io
import os
from collections.abc import Mapping

from absl import logging

from htc_tf import file_systems, files

TABLE_FILE = 'results.csv'
_STEP = 'step'

Row = dict[str, float]


class ResultsTable:
  """Rows by step, each with the values that were reported or evaluated there.

  The file is replaced at every change, so that readers see a complete one. A run that continues
  from a checkpoint keeps the rows up to its step; later ones belong to steps that were lost.

  Args:
    model_dir: the model directory.
    start: step at which this start continues.
  """

  def __init__(self, model_dir: str, start: int):
    self._path = os.path.join(model_dir, TABLE_FILE)
    self._rows = {step: row for step, row in _read(self._path).items() if step <= start}

  @property
  def rows(self) -> list[Row]:
    """The rows in the order of their steps; each has its `step`."""
    return [{_STEP: step, **self._rows[step]} for step in sorted(self._rows)]

  def values(self, name: str) -> list[tuple[int, float]]:
    """(step, value) of the rows that have a value of this name."""
    return [(int(row[_STEP]), row[name]) for row in self.rows if name in row]

  def add(self, step: int, values: Mapping[str, float]) -> None:
    """Add values to the row of a step, and write the file."""
    self._rows[step] = {**self._rows.get(step, {}), **values}
    files.write_bytes(self._path, _format(self.rows))


def _format(rows: list[Row]) -> bytes:
  """The rows as text; a column for every name, empty where a row has no value."""
  text = io.StringIO()
  names = list(dict.fromkeys(name for row in rows for name in row))
  writer = csv.DictWriter(text, names, lineterminator='\n')
  writer.writeheader()
  writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)
  return text.getvalue().encode()


def _text(value: float) -> str:
  """A number as text: steps with all digits."""
  return str(value) if isinstance(value, int) else f'{value:.7g}'


def _read(path: str) -> dict[int, Row]:
  """The rows of a file by step; a file that cannot be read is renamed."""
  if not file_systems.exists(path):
    return {}
  try:
    content = file_systems.read_bytes(path).decode()
    rows = [
      {name: float(value) for name, value in row.items() if value}
      for row in csv.DictReader(io.StringIO(content), strict=True)
    ]
    return {int(row.pop(_STEP)): row for row in rows}
  except (ValueError, KeyError, TypeError, csv.Error) as error:
    renamed = files.set_aside(path)
    logging.error(
      '%s is not a readable table (%s: %s). It is renamed to %s, and a new table is started. '
      'Likely cause: an edit by hand.',
      path,
      type(error).__name__,
      error,
      renamed,
    )
    return {}
