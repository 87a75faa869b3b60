"""Transfer of the parts of a model that belong to a class, by the names of the classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.convert.mmdet_names import MMDET, MMDET_BY_CLASS, SEMANTIC_CLASSES
from htc_tf.convert.name_map import ClassAxis

_MAX_LISTED = 100


class Classes(NamedTuple):
  """The classes of a model or of a data set.

  Attributes:
    names: names of the foreground classes in the order of their labels.
    semantic_source: what the semantic maps are made of, 'instances' or 'stuff_maps'; None if there
      are none, or it is unknown.
  """

  names: tuple[str, ...]
  semantic_source: str | None = None


class Transfer(NamedTuple):
  """Classes of new data by what happens to their weights.

  Attributes:
    kept: pairs (new label, old label) of the classes that both have.
    new: names of the classes that start anew.
  """

  kept: tuple[tuple[int, int], ...]
  new: tuple[str, ...]


def class_axis(path: str) -> ClassAxis | None:
  """The axis of a variable that has an entry per class, by the variable's path; else None."""
  match = MMDET.find_source(path) or MMDET_BY_CLASS.find_source(path)
  return match and match.row.classes


def match_names(old: Sequence[str], new: Sequence[str]) -> Transfer:
  """The classes of the same name; case and surrounding spaces do not matter.

  Args:
    old: names of the old model's classes, label 1 first.
    new: names of the new data's classes, label 1 first.
  """
  labels: dict[str, int] = {}
  for label, name in enumerate(old, 1):
    labels.setdefault(_normalized(name), label)
  kept = tuple(
    (label, labels[_normalized(name)])
    for label, name in enumerate(new, 1)
    if _normalized(name) in labels
  )
  return Transfer(kept, tuple(name for name in new if _normalized(name) not in labels))


def _normalized(name: str) -> str:
  return name.strip().casefold()


def transferred(
  path: str, initial: np.ndarray, old: np.ndarray, transfer: Transfer, same_semantic: bool
) -> np.ndarray | None:
  """The value of a variable with entries of both the old model and the new one.

  Args:
    path: path of the variable; it has a class axis.
    initial: value of the variable in the new model, before training.
    old: value of the variable in the old model; it may differ in the size of the class axis.
    transfer: the classes that both models have.
    same_semantic: whether the semantic maps of both are made of instances.

  Returns:
    The initial value with the entries of the background and of kept classes from the old model; for
    the semantic branch None if its classes are not those of the instances.
  """
  axis = class_axis(path)
  if axis is None or (axis == SEMANTIC_CLASSES and not same_semantic):
    return None
  offset = 0 if axis.has_background else -1
  pairs = [(new + offset, old_label + offset) for new, old_label in transfer.kept]
  pairs += [(0, 0)] if axis.has_background else []
  value = np.moveaxis(initial.copy(), axis.axis, 0)
  rows = np.moveaxis(old, axis.axis, 0)
  size = axis.values_per_class
  for new_row, old_row in pairs:
    value[new_row * size : (new_row + 1) * size] = rows[old_row * size : (old_row + 1) * size]
  return np.moveaxis(value, 0, axis.axis)


def describe(old: Sequence[str], new: Sequence[str], transfer: Transfer) -> str:
  """A text with both lists of classes, and what happens to the weights of each class."""
  kept = [new[label - 1] for label, _ in transfer.kept]
  return (
    f'The initial checkpoint has {len(old)} classes: {_listed(old)}. The training data has '
    f'{len(new)}: {_listed(new)}. Weights of classes with the same name are kept: '
    f'{_listed(kept) or "none"}; those of other classes start anew: '
    f'{_listed(transfer.new) or "none"}.'
  )


def _listed(names: Sequence[str]) -> str:
  rest = len(names) - _MAX_LISTED
  return ', '.join(names[:_MAX_LISTED]) + (f' and {rest} more' if rest > 0 else '')
