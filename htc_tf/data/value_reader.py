"""Tolerant reading of the values of annotation entries, which counts what was mended."""

from typing import Any

from htc_tf.data import json_values
from htc_tf.data.check_report import CheckReport


class ValueReader:
  """Readings of JSON values; a value in another form than that of COCO is counted by its form.

  Args:
    report: counts of the findings.
  """

  def __init__(self, report: CheckReport):
    self._report = report

  def integer(self, value: Any, name: str) -> int | None:
    """The integer that a value stands for, or None; see `json_values.integer`.

    Args:
      value: value of the file.
      name: name of the entry and of its key, for the report.
    """
    read = json_values.integer(value)
    if read is not None and isinstance(value, float):
      self._report.add('integer_as_float', name)
    self._count_text(value, read, name)
    return read

  def number(self, value: Any, name: str) -> float | None:
    """The number that a value stands for, or None; see `json_values.number`.

    Args:
      value: value of the file.
      name: name of the entry and of its key, for the report.
    """
    read = json_values.number(value)
    self._count_text(value, read, name)
    return read

  def box(self, value: Any, name: str) -> list[float] | None:
    """Four numbers, or None.

    Args:
      value: value of the file.
      name: name of the entry, for the report.
    """
    if not isinstance(value, list) or len(value) != 4:
      return None
    numbers = [self.number(item, f'bbox of {name}') for item in value]
    read = [item for item in numbers if item is not None]
    return read if len(read) == len(value) else None

  def is_crowd(self, entry: dict[str, Any], name: str) -> int:
    """Whether an annotation is a crowd region, 0 or 1; 0 if that is missing or not clear.

    Args:
      entry: annotation of the file.
      name: name of the entry, for the report.
    """
    if 'iscrowd' not in entry:
      self._report.add('iscrowd_missing', name)
      return 0
    value = entry['iscrowd']
    read = json_values.flag(value)
    if read is None:
      self._report.add('bad_iscrowd', f'{name}: {value!r}')
    elif type(value) is not int or value not in (0, 1):
      self._report.add('iscrowd_form', f'{name}: {value!r}')
    return int(bool(read))

  def _count_text(self, value: Any, read: float | None, name: str) -> None:
    if read is not None and isinstance(value, str):
      self._report.add('number_as_text', name)
