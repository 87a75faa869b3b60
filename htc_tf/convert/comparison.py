"""Comparison of a published file with a model: which entry fits which variable."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.convert import crop_sizes, position_tables, stem, transforms
from htc_tf.convert.name_map import NameMap, Row
from htc_tf.errors import CheckpointError

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


class Pair(NamedTuple):
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


class Comparison(NamedTuple):
  """The comparison of a file with a model.

  Attributes:
    fitting: pairs that fit.
    rgb_stems: the first convolution if it is one of RGB images and the model reads other images.
    tables: tables of relative positions of a classifier whose windows have another size.
    other_classes: pairs that depend on a number of classes that differs.
    other_shape: other pairs whose shapes differ.
    missing: paths of the variables without an entry, except for those in `optional`.
    optional: paths of the variables without an entry that a file may lack.
    unused: names of the entries without a variable, except for those in `absent`.
    absent: names of the entries of a branch that the model lacks.
  """

  fitting: list[Pair]
  rgb_stems: list[Pair]
  tables: list[Pair]
  other_classes: list[Pair]
  other_shape: list[Pair]
  missing: list[str]
  optional: list[str]
  unused: list[str]
  absent: list[str]


def is_in(path: str, parts: Sequence[str] | None) -> bool:
  """Whether a variable is in one of some parts of the model; None for all parts."""
  return parts is None or path.split('/', 1)[0] in parts


def compare(
  name_map: NameMap,
  tensors: Mapping[str, np.ndarray],
  variables: Mapping[str, tf.Variable],
  parts: Sequence[str] | None,
) -> Comparison:
  """The comparison of a file with some variables.

  Args:
    name_map: name map of the file.
    tensors: entries of the file by name.
    variables: variables of the model by path.
    parts: parts of the model that are to be filled; None for all.
  """
  pairs, unused = _match(name_map, tensors, variables, parts)
  keys = {
    pair.row.classes.key
    for pair in pairs
    if pair.row.classes and _only_axis_differs(pair, pair.row.classes.axis)
  }
  missing = sorted(set(variables) - {pair.path for pair in pairs})
  branches = set(map(_branch, variables))
  absent = [name for name in unused if _absent_branch(name_map, name, branches)]
  comparison = Comparison(
    fitting=[],
    rgb_stems=[],
    tables=[],
    other_classes=[],
    other_shape=[],
    missing=[path for path in missing if not name_map.is_optional(path)],
    optional=[path for path in missing if name_map.is_optional(path)],
    unused=[name for name in unused if name not in absent],
    absent=absent,
  )
  for pair in pairs:
    # All layers that depend on a differing number of classes keep their values together.
    if pair.row.classes and pair.row.classes.key in keys:
      comparison.other_classes.append(pair)
    elif stem.is_of_rgb(pair.path, pair.converted_shape, pair.shape):
      comparison.rgb_stems.append(pair)
    elif name_map.is_of_classifier and position_tables.is_of_other_window(
      pair.path, pair.converted_shape, pair.shape
    ):
      comparison.tables.append(pair)
    elif pair.converted_shape != pair.shape:
      comparison.other_shape.append(pair)
    else:
      comparison.fitting.append(pair)
  return comparison


def shapes_by_path(
  name_map: NameMap, tensors: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
  """Shapes of the entries of a file, in our layout, by the path that each stands for.

  Args:
    name_map: name map of the file.
    tensors: entries of the file by name.
  """
  shapes = {}
  for name, tensor in tensors.items():
    match = None if name_map.ignores(name) else name_map.find_path(name)
    if match is not None:
      shape = transforms.converted_shape(match.row.steps, tensor.shape)
      shapes[match.name] = shape if shape is not None else tensor.shape
  return shapes


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
) -> tuple[list[Pair], list[str]]:
  """Pairs of an entry and a variable, and the names of the entries without a variable.

  Entries of other parts of the model are in neither list.
  """
  pairs, unused = [], []
  for name in tensors:
    if name_map.ignores(name):
      continue
    match = name_map.find_path(name, variables)
    if match is not None and match.name in variables:
      published_shape = tensors[name].shape
      pairs.append(
        Pair(
          name,
          match.name,
          match.row,
          published_shape,
          transforms.converted_shape(match.row.steps, published_shape),
          tuple(variables[match.name].shape),
        )
      )
    elif match is None or is_in(match.name, parts):
      unused.append(name)
  return pairs, unused


def _only_axis_differs(pair: Pair, axis: int) -> bool:
  """Whether the shapes of a pair differ, and only along the given axis."""
  converted = pair.converted_shape
  if converted is None or len(converted) != len(pair.shape) or converted == pair.shape:
    return False
  return all(
    size == converted_size
    for index, (size, converted_size) in enumerate(zip(pair.shape, converted))
    if index != axis % len(converted)
  )


def check_crop_size(path: str, other_shape: Sequence[Pair], crop_size: int) -> None:
  """Raise CheckpointError if only the size of the RoI features of the box heads differs."""
  sizes = {
    crop_sizes.published_size(pair.row, pair.published_shape, pair.shape, crop_size)
    for pair in other_shape
  }
  size = sizes.pop() if len(sizes) == 1 else None
  if size is not None:
    raise CheckpointError(
      f'The box heads of {path} read RoI features of another size',
      expected=f'{crop_size}x{crop_size} bins, task.model.box_head.crop_size of the model',
      got=f'{size}x{size} bins',
      likely_cause=f'another configuration; set task.model.box_head.crop_size={size}',
    )


def _class_counts(pairs: Sequence[Pair]) -> str:
  """The numbers of foreground classes that differ, by the key that sets them."""
  counts = []
  for pair in pairs:
    axis = pair.row.classes
    if axis and pair.converted_shape and _only_axis_differs(pair, axis.axis):
      published, ours = (
        shape[axis.axis] // axis.values_per_class - axis.has_background
        for shape in (pair.converted_shape, pair.shape)
      )
      counts.append(f'{axis.key}: {published} foreground classes in the file, {ours} in the model')
  return '; '.join(dict.fromkeys(counts))


def problems(comparison: Comparison, allowed: Allowed) -> Iterator[str]:
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
      f'entries of another number of classes ({_class_counts(comparison.other_classes)}; can be '
      'skipped on request)',
      list(map(str, comparison.other_classes)),
      allowed.class_mismatch,
    ),
  ):
    if names and not accepted:
      rest = f' and {len(names) - _MAX_LISTED} more' if len(names) > _MAX_LISTED else ''
      yield f'{len(names)} {title}: {", ".join(names[:_MAX_LISTED])}{rest}'
