"""A name map: rows of data that lead from published names to paths of variables, and back."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from htc_tf.convert.transforms import Step

_FIELD = re.compile(r'\{(\w+)(?::(\w+))?\}')


class _Notation(NamedTuple):
  """How a name writes a number that counts from 0."""

  pattern: str
  parse: Callable[[str], int]
  write: Callable[[int], str]


_NOTATIONS = {
  None: _Notation(r'\d+', int, str),
  'from1': _Notation(r'[1-9]\d*', lambda text: int(text) - 1, lambda value: str(value + 1)),
  'from2': _Notation(r'[2-9]\d*', lambda text: int(text) - 2, lambda value: str(value + 2)),
  'letter': _Notation(
    '[a-z]', lambda text: ord(text) - ord('a'), lambda value: chr(ord('a') + value)
  ),
}


class Template:
  """A name with numbered fields: `layer{stage:from1}.{block}` stands for `layer1.0`, ...

  A field is `{name}` or `{name:notation}`; notations: none counts from 0, `from1`, `from2`, and
  `letter` for a, b, c. A field that stands twice has the same value twice.
  """

  def __init__(self, text: str):
    self.text = text
    self._notations = {}
    pattern, end = '', 0
    for field in _FIELD.finditer(text):
      name, notation = field.groups()
      pattern += re.escape(text[end : field.start()])
      pattern += (
        f'(?P={name})' if name in self._notations else f'(?P<{name}>{_NOTATIONS[notation].pattern})'
      )
      self._notations[name] = _NOTATIONS[notation]
      end = field.end()
    self._regex = re.compile(pattern + re.escape(text[end:]))

  def match(self, name: str) -> dict[str, int] | None:
    """The fields' values if the template stands for `name`, else None."""
    found = self._regex.fullmatch(name)
    if not found:
      return None
    return {field: self._notations[field].parse(text) for field, text in found.groupdict().items()}

  def fill(self, values: dict[str, int]) -> str:
    """The name with these values of the fields."""
    return _FIELD.sub(lambda field: _NOTATIONS[field[2]].write(values[field[1]]), self.text)


class ClassAxis(NamedTuple):
  """Which axis of a variable counts classes, and the key of the configuration that sets them."""

  key: str
  axis: int


class Row(NamedTuple):
  """One kind of entry.

  Attributes:
    source: template of its published name.
    path: template of its variable's path, with the same fields.
    steps: from the published array to the variable.
    classes: which axis counts classes, if one does.
  """

  source: Template
  path: Template
  steps: tuple[Step, ...] = ()
  classes: ClassAxis | None = None


class Match(NamedTuple):
  """A row found for an entry, and its name on the other side."""

  row: Row
  name: str


class NameMap:
  """All rows of one source.

  Args:
    source: whose names these are, for messages and records.
    rows: the first that matches counts, in both directions.
    ignored: regular expressions of whole published names that have no place in the model.
    parts: parts of the model the source fills; None: all.
  """

  def __init__(
    self,
    source: str,
    rows: Iterable[Row],
    ignored: Iterable[str] = (),
    parts: tuple[str, ...] | None = None,
  ):
    self.source = source
    self.parts = parts
    self._rows = tuple(rows)
    self._ignored = re.compile('|'.join(ignored) or '(?!)')

  def ignores(self, name: str) -> bool:
    """Whether an entry has no place in the model and needs none."""
    return self._ignored.fullmatch(name) is not None

  def find_path(self, name: str) -> Match | None:
    """Row and variable's path of a published name, or None."""
    return next(
      (
        Match(row, row.path.fill(values))
        for row in self._rows
        if (values := row.source.match(name)) is not None
      ),
      None,
    )

  def find_source(self, path: str) -> Match | None:
    """Row and published name of a variable's path, or None."""
    return next(
      (
        Match(row, row.source.fill(values))
        for row in self._rows
        if (values := row.path.match(path)) is not None
      ),
      None,
    )


def rows(
  source: str,
  path: str,
  parts: Mapping[str, str],
  steps: Mapping[str, tuple[Step, ...]],
  classes: ClassAxis | None = None,
) -> tuple[Row, ...]:
  """The rows of one layer.

  Args:
    source: template of the layer's published name.
    path: template of the layer's path.
    parts: published name of each of its arrays to that of the variable, e.g. `weight: kernel`.
    steps: of the variables that need any.
    classes: which axis of all its variables counts classes, if one does.
  """
  return tuple(
    Row(
      Template(f'{source}.{published}'),
      Template(f'{path}/{variable}'),
      steps.get(variable, ()),
      classes,
    )
    for published, variable in parts.items()
  )
