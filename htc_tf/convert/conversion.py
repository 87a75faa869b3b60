"""Fills a model with published weights, and gives a model's weights in a published layout."""

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

_LISTED = 20


class Allowed(NamedTuple):
  """What may not fit.

  Attributes:
    class_mismatch: another number of classes: the layers that depend on it keep their values.
    unused: entries of the file without a variable.
    missing: variables without an entry; they keep their values.
  """

  class_mismatch: bool = False
  unused: bool = False
  missing: bool = False


class Conversion(NamedTuple):
  """What became of a file and of a model's variables.

  Attributes:
    source: whose names the file has.
    parts: parts of the model that were filled; None: all.
    filled: paths of the variables that hold published values now.
    dropped: paths of the variables left out for another number of classes.
    missing: paths of the variables without an entry.
    unused: entries without a variable.
  """

  source: str
  parts: tuple[str, ...] | None
  filled: tuple[str, ...]
  dropped: tuple[str, ...]
  missing: tuple[str, ...]
  unused: tuple[str, ...]

  def describe(self) -> str:
    """One line a kind of outcome, every variable that was not filled by name."""
    lines = [f'{len(self.filled)} variables filled from {self.source} names']
    for title, names in (
      ('of another number of classes, left as initialised', self.dropped),
      ('without an entry, left as initialised', self.missing),
      ('entries without a variable', self.unused),
    ):
      if names:
        lines.append(f'{len(names)} {title}: {", ".join(names)}')
    return '\n'.join(lines)


class _Pair(NamedTuple):
  """An entry and the variable it belongs to."""

  name: str
  path: str
  row: Row


def convert_checkpoint(
  checkpoint: Checkpoint,
  model: HTCModel,
  allowed: Allowed = Allowed(),
  parts: Sequence[str] | None = None,
) -> Conversion:
  """Fills a model from a published checkpoint, completely or not at all.

  Args:
    checkpoint: what `read_checkpoint` returns.
    model: with its variables made.
    allowed: what may not fit.
    parts: parts of the model to fill, e.g. ['backbone']; None: all that the source has.

  Raises:
    CheckpointError: the file does not fit the model; lists what.
  """
  name_map = find_name_map(checkpoint)
  parts = tuple(parts) if parts is not None else name_map.parts
  variables = {
    path: variable for path, variable in named_variables(model).items() if _is_in(path, parts)
  }
  pairs, unused = _match(name_map, checkpoint.tensors, variables, parts)
  missing = sorted(set(variables) - {pair.path for pair in pairs})
  wrong = {
    pair.path: shape
    for pair in pairs
    if (shape := _converted_shape(pair, checkpoint.tensors)) != tuple(variables[pair.path].shape)
  }
  dropped = _class_dependent(pairs, wrong, variables)
  shapes = [pair for pair in pairs if pair.path in wrong and pair.path not in dropped]
  problems = list(
    _problems(
      pairs,
      variables,
      checkpoint.tensors,
      shapes,
      [] if allowed.class_mismatch else dropped,
      [] if allowed.missing else missing,
      [] if allowed.unused else unused,
    )
  )
  if problems:
    raise CheckpointError(
      f'{checkpoint.path} does not fit the model',
      expected='a place for every entry, and an entry for every variable',
      got='; '.join(problems),
      likely_cause='the experiment of another file: another depth, a branch more or less, or '
      'another number of classes',
    )
  filled = [pair for pair in pairs if pair.path not in dropped]
  for pair in filled:
    values = transforms.apply(pair.row.steps, checkpoint.tensors[pair.name])
    variables[pair.path].assign(values.astype(np.float32, copy=False))
    checkpoint.release()
  return Conversion(
    name_map.source,
    parts,
    tuple(pair.path for pair in filled),
    tuple(dropped),
    tuple(missing),
    tuple(unused),
  )


def published_weights(model: HTCModel, name_map: NameMap) -> dict[str, np.ndarray]:
  """A model's weights under published names and in the published layout.

  Args:
    model: with its variables made.
    name_map: whose names; its source decides which parts are given.

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
        likely_cause='a model on other parts than the published ones',
      )
    found[match.name] = np.ascontiguousarray(transforms.revert(match.row.steps, variable.numpy()))
  return found


def find_name_map(checkpoint: Checkpoint) -> NameMap:
  """The name map of a checkpoint, by its kind and its names.

  Raises:
    CheckpointError: names of no known source.
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
    f'{checkpoint.path} holds no model known here',
    expected='an HTC of mmdetection 2.x or 3.x '
    'or of laihuihui/htc, or a ResNet of torchvision or mmcls',
    got=f'entries such as {sorted(names)[:3]}',
    likely_cause='the checkpoint of another network',
  )


def _is_in(path: str, parts: Sequence[str] | None) -> bool:
  return parts is None or path.split('/', 1)[0] in parts


def _match(
  name_map: NameMap,
  tensors: Mapping[str, np.ndarray],
  variables: Mapping[str, tf.Variable],
  parts: Sequence[str] | None,
) -> tuple[list[_Pair], list[str]]:
  """Pairs of entry and variable, and the entries without one; other parts' entries are neither."""
  pairs, unused = [], []
  for name in tensors:
    if name_map.ignores(name):
      continue
    match = name_map.find_path(name)
    if match is not None and match.name in variables:
      pairs.append(_Pair(name, match.name, match.row))
    elif match is None or _is_in(match.name, parts):
      unused.append(name)
  return pairs, unused


def _converted_shape(pair: _Pair, tensors: Mapping[str, np.ndarray]) -> tuple[int, ...] | None:
  """Shape an entry has for us; None if its rank or size suits no step."""
  # A view without memory of its own: a step copies nothing but what it must.
  stand_in = np.broadcast_to(np.zeros((), np.bool_), tensors[pair.name].shape)
  try:
    return transforms.apply(pair.row.steps, stand_in).shape
  except ValueError:
    return None


def _class_dependent(
  pairs: Sequence[_Pair],
  wrong: Mapping[str, tuple[int, ...] | None],
  variables: Mapping[str, tf.Variable],
) -> list[str]:
  """Paths of all variables whose number of classes differs from the file's."""
  keys = {
    pair.row.classes.key
    for pair in pairs
    if pair.row.classes
    and pair.path in wrong
    and _differ_in_classes(
      pair.row.classes.axis, wrong[pair.path], tuple(variables[pair.path].shape)
    )
  }
  return [pair.path for pair in pairs if pair.row.classes and pair.row.classes.key in keys]


def _differ_in_classes(axis: int, shape: tuple[int, ...] | None, expected: tuple[int, ...]) -> bool:
  """Whether two shapes differ in the class axis alone."""
  if shape is None or len(shape) != len(expected):
    return False
  return all(
    ours == theirs
    for index, (ours, theirs) in enumerate(zip(expected, shape))
    if index != axis % len(shape)
  )


def _problems(
  pairs: Sequence[_Pair],
  variables: Mapping[str, tf.Variable],
  tensors: Mapping[str, np.ndarray],
  shapes: Sequence[_Pair],
  dropped: Sequence[str],
  missing: Sequence[str],
  unused: Sequence[str],
) -> Iterator[str]:
  by_path = {pair.path: pair for pair in pairs}
  for title, names in (
    ('entries without a variable', unused),
    ('variables without an entry', missing),
    ('entries of another shape', [_shapes_of(pair, variables, tensors) for pair in shapes]),
    (
      'entries of another number of classes (may be left out on request)',
      [_shapes_of(by_path[path], variables, tensors) for path in dropped],
    ),
  ):
    if names:
      rest = f' and {len(names) - _LISTED} more' if len(names) > _LISTED else ''
      yield f'{len(names)} {title}: {", ".join(names[:_LISTED])}{rest}'


def _shapes_of(
  pair: _Pair, variables: Mapping[str, tf.Variable], tensors: Mapping[str, np.ndarray]
) -> str:
  return (
    f'{pair.name} {list(tensors[pair.name].shape)} for '
    f'{pair.path} {variables[pair.path].shape.as_list()}'
  )
