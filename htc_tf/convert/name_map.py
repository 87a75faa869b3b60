"""Name maps: rows of data that translate published names to paths of variables, and back."""

import copy
import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from htc_tf.convert.transforms import Step, flat_roi

_FIELD = re.compile(r'\{(\w+)(?::(\w+))?\}')


class _Notation(NamedTuple):
  """Notation, within a name, of a number that counts from 0.

  Each number has one text, so that no two names stand for the same variable.

  Attributes:
    pattern: regular expression of the text.
    parse: function from the text to the number.
    write: function from the number to the text.
  """

  pattern: str
  parse: Callable[[str], int]
  write: Callable[[int], str]


_NOTATIONS = {
  None: _Notation('0|[1-9][0-9]*', int, str),
  'from1': _Notation('[1-9][0-9]*', lambda text: int(text) - 1, lambda value: str(value + 1)),
  'from2': _Notation('[2-9]|[1-9][0-9]+', lambda text: int(text) - 2, lambda value: str(value + 2)),
  'letter': _Notation(
    '[a-z]', lambda text: ord(text) - ord('a'), lambda value: chr(ord('a') + value)
  ),
}


class Template:
  """A name with numbered fields: `layer{stage:from1}.{block}` stands for `layer1.0`, ...

  Args:
    text: name with fields `{name}` or `{name:notation}`. Without a notation a field counts from 0;
      the notations are `from1`, `from2`, and `letter` for a, b, c. A field that occurs twice must
      have the same value in both places.
  """

  def __init__(self, text: str):
    self.text = text
    self._notations: dict[str, _Notation] = {}
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
    """The values of the fields if the template stands for `name`, else None."""
    found = self._regex.fullmatch(name)
    if not found:
      return None
    return {field: self._notations[field].parse(text) for field, text in found.groupdict().items()}

  def fill(self, values: dict[str, int]) -> str:
    """The name with the given values of the fields."""
    return _FIELD.sub(lambda field: _NOTATIONS[field[2]].write(values[field[1]]), self.text)


class ClassAxis(NamedTuple):
  """The axis of a variable that grows with the number of classes.

  Attributes:
    key: key of the configuration that sets the number of classes.
    axis: index of the axis; may be negative.
    has_background: whether the first entries belong to the background.
    values_per_class: number of neighboring entries that belong to one class.
  """

  key: str
  axis: int
  has_background: bool = True
  values_per_class: int = 1


class Row(NamedTuple):
  """A rule for the entries of one kind.

  Attributes:
    source: template of the published name.
    path: template of the path of the variable, with the same fields.
    steps: steps from the published array to the variable.
    classes: axis whose size is the number of classes; None if there is none.
  """

  source: Template
  path: Template
  steps: tuple[Step, ...] = ()
  classes: ClassAxis | None = None

  @property
  def flattens_rois(self) -> bool:
    """Whether the entry is a weight of flattened RoI features."""
    return any(step.crop_size is not None for step in self.steps)

  def with_crop_size(self, crop_size: int) -> 'Row':
    """The row for RoI features of another size."""
    steps = (step if step.crop_size is None else flat_roi(crop_size) for step in self.steps)
    return self._replace(steps=tuple(steps))


class Match(NamedTuple):
  """The row for a published name or a path.

  Attributes:
    row: the row.
    name: translated name: the path of a published name, or the published name of a path.
  """

  row: Row
  name: str


class NameMap:
  """All rows of one source.

  Args:
    source: name of the source, for messages and records.
    rows: the rows; in both directions the first one that matches is used, unless the variables of a
      model decide between several.
    ignored: regular expressions of whole published names that the model does not need.
    parts: parts of the model that the source fills; None for all.
    optional: regular expressions of whole paths of variables that a file may lack: those whose
      initial values do not change what the model computes, those that the published training starts
      anew, and those that `classifier_start` fills.
  """

  def __init__(
    self,
    source: str,
    rows: Iterable[Row],
    ignored: Iterable[str] = (),
    parts: tuple[str, ...] | None = None,
    optional: Iterable[str] = (),
  ):
    self.source = source
    self.parts = parts
    self._rows = tuple(rows)
    self._ignored = re.compile('|'.join(ignored) or '(?!)')
    self._optional = re.compile('|'.join(optional) or '(?!)')

  def with_crop_size(self, crop_size: int) -> 'NameMap':
    """The name map for models whose box heads flatten RoI features of another size.

    Args:
      crop_size: side of the RoI features in bins; the rows are written for the published size, 7.
    """
    adapted = copy.copy(self)
    adapted._rows = tuple(row.with_crop_size(crop_size) for row in self._rows)
    return adapted

  @property
  def is_of_classifier(self) -> bool:
    """Whether the source is an ImageNet classifier, which has nothing but a backbone."""
    return self.parts == ('backbone',)

  def ignores(self, name: str) -> bool:
    """Whether the model does not need an entry."""
    return self._ignored.fullmatch(name) is not None

  def is_optional(self, path: str) -> bool:
    """Whether a file may lack the entry of a variable."""
    return self._optional.fullmatch(path) is not None

  def find_path(self, name: str, paths: Container[str] = ()) -> Match | None:
    """The row of a published name and the path of its variable; None if no row matches.

    Args:
      name: published name.
      paths: paths of the variables of the model. If several rows match, because layouts use a name
        for different things, the first with a path among these is taken.
    """
    matches = [
      Match(row, row.path.fill(values))
      for row in self._rows
      if (values := row.source.match(name)) is not None
    ]
    known = [match for match in matches if match.name in paths]
    return next(iter(known or matches), None)

  def find_source(self, path: str) -> Match | None:
    """The row of a variable's path and its published name; None if no row matches."""
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
    source: template of the published name of the layer.
    path: template of the path of the layer.
    parts: published name of each array to the name of the variable, e.g. `weight: kernel`.
    steps: steps by name of the variable; a variable without an entry needs none.
    classes: axis of every variable whose size is the number of classes; None if there is none.
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
