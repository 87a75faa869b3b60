"""Conversion of published weights to the variables of a model, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.convert import transforms
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.name_map import NameMap, Row
from htc_tf.convert.paddle_names import PADDLE
from htc_tf.convert.torchvision_names import MMCLS, TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from htc_tf.modeling.htc_model import HTCModel

_MAX_LISTED = 20


class Allowed(NamedTuple):
  """Mismatches between a file and a model that are accepted.

  Attributes:
    class_mismatch: whether the number of classes may differ; the layers that depend on it then keep
      their values.
    unused: whether the file may have entries without a variable.
    missing: whether the model may have variables without an entry, which then keep their values.
    absent_branches: whether the file may have a semantic or a mask branch that the model lacks.
  """

  class_mismatch: bool = False
  unused: bool = False
  missing: bool = False
  absent_branches: bool = False


class Conversion(NamedTuple):
  """The result of a conversion, by variable of the model and by entry of the file.

  Attributes:
    source: name of the source of the file.
    parts: parts of the model that were filled; None for all.
    filled: paths of the variables that now have published values.
    dropped: paths of the variables that were skipped because their number of classes differs.
    missing: paths of the variables without an entry.
    unused: names of the entries without a variable.
  """

  source: str
  parts: tuple[str, ...] | None
  filled: tuple[str, ...]
  dropped: tuple[str, ...]
  missing: tuple[str, ...]
  unused: tuple[str, ...]

  def describe(self) -> str:
    """A text with one line per outcome, which names every variable that was not filled."""
    lines = [f'{len(self.filled)} variables filled from {self.source} names']
    for title, names in (
      ('variables with another number of classes, left as initialized', self.dropped),
      ('variables without an entry, left as initialized', self.missing),
      ('entries without a variable', self.unused),
    ):
      if names:
        lines.append(f'{len(names)} {title}: {", ".join(names)}')
    return '\n'.join(lines)


class _Pair(NamedTuple):
  """An entry of a file and its variable.

  Attributes:
    name: published name of the entry.
    path: path of the variable.
    row: row of the name map that connects the two.
    published_shape: shape of the entry.
    converted_shape: shape of the entry in our layout; None if it does not suit the row's steps.
    shape: shape of the variable.
  """

  name: str
  path: str
  row: Row
  published_shape: tuple[int, ...]
  converted_shape: tuple[int, ...] | None
  shape: tuple[int, ...]

  def __str__(self) -> str:
    return f'{self.name} {list(self.published_shape)} for {self.path} {list(self.shape)}'


class _Comparison(NamedTuple):
  """The comparison of a file with a model.

  Attributes:
    fitting: pairs that fit.
    other_classes: pairs that depend on a number of classes that differs.
    other_shape: other pairs whose shapes differ.
    missing: paths of the variables without an entry.
    unused: names of the entries without a variable, except for those in `absent`.
    absent: names of the entries of a branch that the model lacks.
  """

  fitting: list[_Pair]
  other_classes: list[_Pair]
  other_shape: list[_Pair]
  missing: list[str]
  unused: list[str]
  absent: list[str]


def convert_checkpoint(
  checkpoint: Checkpoint,
  model: HTCModel,
  allowed: Allowed = Allowed(),
  parts: Sequence[str] | None = None,
) -> Conversion:
  """Fill a model from a published checkpoint, completely or not at all.

  Args:
    checkpoint: result of `read_checkpoint`.
    model: the model; its variables must exist, and are changed.
    allowed: accepted mismatches.
    parts: parts of the model to fill, e.g. ['backbone']; None for all that the source has.

  Returns:
    The filled variables and the mismatches.

  Raises:
    CheckpointError: the file does not fit the model; the message lists the mismatches.
  """
  name_map = find_name_map(checkpoint)
  parts = tuple(parts) if parts is not None else name_map.parts
  variables = {
    path: variable for path, variable in named_variables(model).items() if _is_in(path, parts)
  }
  comparison = _compare(name_map, checkpoint.tensors, variables, parts)
  problems = list(_problems(comparison, allowed))
  if problems:
    raise CheckpointError(
      f'{checkpoint.path} does not fit the model',
      expected='a variable for every entry, and an entry for every variable',
      got='; '.join(problems),
      likely_cause='the experiment of another file, with another depth, more or fewer branches, or '
      'another number of classes',
    )
  for pair in comparison.fitting:
    values = transforms.apply(pair.row.steps, checkpoint.tensors[pair.name])
    variables[pair.path].assign(values.astype(np.float32, copy=False))
    checkpoint.release()
  return Conversion(
    name_map.source,
    parts,
    filled=tuple(pair.path for pair in comparison.fitting),
    dropped=tuple(pair.path for pair in comparison.other_classes),
    missing=tuple(comparison.missing),
    unused=(*comparison.unused, *comparison.absent),
  )


def class_values(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
  """The entries of a published checkpoint that have a row per class.

  Args:
    checkpoint: result of `read_checkpoint`.

  Returns:
    Arrays in our layout, with the background first, by path of the variable.
  """
  name_map = find_name_map(checkpoint)
  values = {}
  for name, tensor in checkpoint.tensors.items():
    match = None if name_map.ignores(name) else name_map.find_path(name)
    if match is not None and match.row.classes is not None:
      values[match.name] = transforms.apply(match.row.steps, tensor)
  return values


def published_weights(model: HTCModel, name_map: NameMap) -> dict[str, np.ndarray]:
  """The weights of a model with published names and in the published layout.

  Args:
    model: the model; its variables must exist.
    name_map: name map of the source; it determines the parts of the model.

  Raises:
    CheckpointError: a variable has no published name.
  """
  found = {}
  for path, variable in named_variables(model).items():
    if not _is_in(path, name_map.parts):
      continue
    match = name_map.find_source(path)
    if match is None:
      raise CheckpointError(
        f'{path} has no {name_map.source} name',
        likely_cause='a model that is built of other parts than the published ones',
      )
    found[match.name] = np.ascontiguousarray(transforms.revert(match.row.steps, variable.numpy()))
  return found


def find_name_map(checkpoint: Checkpoint) -> NameMap:
  """The name map for a checkpoint, chosen by its source and the names of its entries.

  Raises:
    CheckpointError: the names belong to no known source.
  """
  names = set(checkpoint.tensors)
  first_parts = {name.split('.', 1)[0] for name in names}
  if checkpoint.source == 'paddle':
    if 'backbone.conv1.conv1.conv.weight' in names:
      return PADDLE
  elif {'roi_head', 'neck'} & first_parts:
    return MMDET
  elif 'backbone.conv1.weight' in names:
    return MMCLS
  elif 'conv1.weight' in names:
    return TORCHVISION
  raise CheckpointError(
    f'{checkpoint.path} does not hold a known model',
    expected='an HTC of mmdetection 2.x or 3.x '
    'or of laihuihui/htc, or a ResNet of torchvision or mmcls',
    got=f'entries such as {sorted(names)[:3]}',
    likely_cause='the checkpoint of another network',
  )


def _is_in(path: str, parts: Sequence[str] | None) -> bool:
  return parts is None or path.split('/', 1)[0] in parts


def _compare(
  name_map: NameMap,
  tensors: Mapping[str, np.ndarray],
  variables: Mapping[str, tf.Variable],
  parts: Sequence[str] | None,
) -> _Comparison:
  pairs, unused = _match(name_map, tensors, variables, parts)
  keys = {
    pair.row.classes.key
    for pair in pairs
    if pair.row.classes and _only_axis_differs(pair, pair.row.classes.axis)
  }
  branches = set(map(_branch, variables))
  absent = [name for name in unused if _absent_branch(name_map, name, branches)]
  comparison = _Comparison(
    fitting=[],
    other_classes=[],
    other_shape=[],
    missing=sorted(set(variables) - {pair.path for pair in pairs}),
    unused=[name for name in unused if name not in absent],
    absent=absent,
  )
  for pair in pairs:
    # All layers that depend on a differing number of classes keep their values together.
    if pair.row.classes and pair.row.classes.key in keys:
      comparison.other_classes.append(pair)
    elif pair.converted_shape != pair.shape:
      comparison.other_shape.append(pair)
    else:
      comparison.fitting.append(pair)
  return comparison


def _branch(path: str) -> str | None:
  """The optional branch that a variable belongs to, by its path; None for other parts."""
  if path.startswith('semantic_head/'):
    return 'semantic'
  return 'mask' if '/mask_' in path else None


def _absent_branch(name_map: NameMap, name: str, branches: set[str | None]) -> bool:
  """Whether an entry belongs to a branch of which the model has no variable."""
  match = name_map.find_path(name)
  branch = match and _branch(match.name)
  return branch is not None and branch not in branches


def _match(
  name_map: NameMap,
  tensors: Mapping[str, np.ndarray],
  variables: Mapping[str, tf.Variable],
  parts: Sequence[str] | None,
) -> tuple[list[_Pair], list[str]]:
  """Pairs of an entry and a variable, and the names of the entries without a variable.

  Entries of other parts of the model are in neither list.
  """
  pairs, unused = [], []
  for name in tensors:
    if name_map.ignores(name):
      continue
    match = name_map.find_path(name)
    if match is not None and match.name in variables:
      published_shape = tensors[name].shape
      pairs.append(
        _Pair(
          name,
          match.name,
          match.row,
          published_shape,
          _converted_shape(match.row, published_shape),
          tuple(variables[match.name].shape),
        )
      )
    elif match is None or _is_in(match.name, parts):
      unused.append(name)
  return pairs, unused


def _converted_shape(row: Row, shape: tuple[int, ...]) -> tuple[int, ...] | None:
  """Shape of an entry in our layout; None if its rank or size does not suit the steps."""
  # A broadcast array has one element in memory, so that most steps copy nothing.
  dummy = np.broadcast_to(np.zeros((), np.bool_), shape)
  try:
    return transforms.apply(row.steps, dummy).shape
  except ValueError:
    return None


def _only_axis_differs(pair: _Pair, axis: int) -> bool:
  """Whether the shapes of a pair differ, and only along the given axis."""
  converted = pair.converted_shape
  if converted is None or len(converted) != len(pair.shape) or converted == pair.shape:
    return False
  return all(
    size == converted_size
    for index, (size, converted_size) in enumerate(zip(pair.shape, converted))
    if index != axis % len(converted)
  )


def _problems(comparison: _Comparison, allowed: Allowed) -> Iterator[str]:
  """One line per kind of mismatch that is not allowed."""
  for title, names, accepted in (
    ('entries without a variable', comparison.unused, allowed.unused),
    (
      'entries of a branch that the model lacks',
      comparison.absent,
      allowed.unused or allowed.absent_branches,
    ),
    ('variables without an entry', comparison.missing, allowed.missing),
    ('entries of another shape', list(map(str, comparison.other_shape)), False),
    (
      'entries of another number of classes (can be skipped on request)',
      list(map(str, comparison.other_classes)),
      allowed.class_mismatch,
    ),
  ):
    if names and not accepted:
      rest = f' and {len(names) - _MAX_LISTED} more' if len(names) > _MAX_LISTED else ''
      yield f'{len(names)} {title}: {", ".join(names[:_MAX_LISTED])}{rest}'
