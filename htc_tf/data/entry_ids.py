"""Integer ids for the entries of an annotation file, whatever a tool wrote."""

from typing import Any

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.value_reader import ValueReader

# Hashes of 64 bits exceed the integers of records in half of the cases, a mistyped id hardly ever.
_MAX_BAD_INTEGERS = 0.1


class EntryIds:
  """Integer ids for the ids of a section.

  Ids that stand for integers keep them. If all ids are text, or integers some of which need more
  than 64 bits, they are numbered in the given order.

  Args:
    values: ids of all entries.
    section: name of the section, for the report.
    report: counts of the findings.
  """

  def __init__(self, values: list[Any], section: str, report: CheckReport):
    self._reader = ValueReader(report)
    self._numbers: dict[str, int] = {}
    if _must_be_numbered(values):
      report.add('text_ids_numbered', f'ids of {section}')
      for value in values:
        self._numbers.setdefault(str(value), len(self._numbers) + 1)

  def get(self, value: Any, name: str) -> int | None:
    """The integer id; None if the value is not an id of this section.

    Args:
      value: id in the file.
      name: name of the entry and of its key, for the report.
    """
    if not self._numbers:
      return self._reader.integer(value, name)
    return self._numbers.get(str(value)) if _is_name(value) else None

  def identified(self, entry: Entry, id_: int, **values: Any) -> Entry:
    """A copy of an entry with an integer id and other values.

    Args:
      entry: entry of the file.
      id_: its integer id.
      **values: values that replace those of the entry.
    """
    original = {'original_id': entry['id']} if self._numbers else {}
    return {**entry, **original, 'id': id_, **values}


def _must_be_numbered(values: list[Any]) -> bool:
  read = [json_values.integer(value) for value in values]
  if all(isinstance(value, str) and value for value in values):
    return None in read or len(set(read)) < len(set(values))  # "7" and "07" are two ids.
  are_integers = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
  return are_integers and read.count(None) > _MAX_BAD_INTEGERS * len(values)


def _is_name(value: Any) -> bool:
  """Whether a value can be an id that is not a small integer: text, or an integer of any size."""
  return isinstance(value, (str, int)) and not isinstance(value, bool) and value != ''
