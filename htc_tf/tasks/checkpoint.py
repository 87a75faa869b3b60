"""Restoring weights with a report of what does not fit."""

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import tensorflow as tf
from absl import logging
from tensorflow.core.protobuf import trackable_object_graph_pb2

from htc_tf.errors import CheckpointError

# TensorFlow keeps the graph of saved objects under this key.
_OBJECT_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
_LISTED = 8
# What TensorFlow raises for a damaged checkpoint; IndexError when data end early.
_READ_ERRORS = (tf.errors.OpError, ValueError, IndexError)


class Mismatch(NamedTuple):
  """What keeps a checkpoint from filling a model; each entry is a printable line.

  Attributes:
    missing: variables of the model the checkpoint does not hold.
    unused: variables of the checkpoint's parts the model does not have.
    shapes: variables held in another shape.
  """

  missing: list[str]
  unused: list[str]
  shapes: list[str]


def resolve(path: str) -> str:
  """The checkpoint prefix a path names.

  Args:
    path: a checkpoint prefix, or a directory holding checkpoints of a training run.

  Raises:
    CheckpointError: if there is none.
  """
  found = tf.train.latest_checkpoint(path) if tf.io.gfile.isdir(path) else path
  if found and tf.io.gfile.exists(found + '.index'):
    return found
  folder = path if tf.io.gfile.isdir(path) else os.path.dirname(path) or '.'
  there = sorted(tf.io.gfile.listdir(folder))[:_LISTED] if tf.io.gfile.isdir(folder) else []
  raise CheckpointError(
    f'There is no checkpoint at {path}',
    expected='a checkpoint prefix such as model/ckpt-1000, or a directory with checkpoints',
    got=f'{folder} with {there}' if there else f'no files in {folder}',
    likely_cause='training has not saved yet, or a misspelt path',
  )


def restore(path: str, parts: Mapping[str, tf.Module]) -> None:
  """Fills parts of a model from a checkpoint, completely or not at all.

  Args:
    path: checkpoint prefix or directory.
    parts: {name in the checkpoint: live object}, e.g. `{'model': model}`.

  Raises:
    CheckpointError: missing or unreadable checkpoint, or one of another configuration; names the
      variables that do not fit.
  """
  prefix = resolve(path)
  mismatch = compare(prefix, parts)
  if mismatch.missing or mismatch.shapes:
    raise CheckpointError(
      f'{prefix} is of another configuration',
      expected=f'all variables of {sorted(parts)}',
      got='; '.join(_describe(mismatch)),
      likely_cause='another number of classes or stages, '
      "another backbone, or a branch switched on or off; use the checkpoint's own params.yaml",
    )
  check_readable(prefix)
  tf.train.Checkpoint(**parts).read(prefix).expect_partial()
  logging.info('Restored %s from %s', sorted(parts), prefix)


def check_readable(prefix: str) -> None:
  """Reads every entry once: a truncated file must not leave a model half restored.

  Raises:
    CheckpointError: a file is missing, cut off or changed; names the newest good checkpoint beside
      it, if there is one.
  """
  try:
    _read_all(prefix)
  except _READ_ERRORS as error:
    raise _unreadable(prefix, error) from error


def is_readable(prefix: str) -> bool:
  """Whether every entry of a checkpoint is there and has its checksum."""
  try:
    _read_all(prefix)
  except _READ_ERRORS:
    return False
  return True


def _read_all(prefix: str) -> None:
  reader = tf.train.load_checkpoint(prefix)
  for key in reader.get_variable_to_shape_map():
    reader.get_tensor(key)


def _unreadable(prefix: str, error: Exception) -> CheckpointError:
  good = _newest_readable_beside(prefix)
  return CheckpointError(
    f'{prefix} cannot be read',
    got=str(error).split('\n', 1)[0],
    expected=f'a whole one, as {good} is' if good else None,
    likely_cause='a truncated copy, or no TF2 checkpoint',
  )


def _newest_readable_beside(prefix: str) -> str | None:
  """The readable checkpoint of the same run with the highest step, or None."""
  run = prefix.rpartition('-')[0]
  found = [path[: -len('.index')] for path in tf.io.gfile.glob(f'{run}-*.index')] if run else []
  steps = {path: path.rpartition('-')[2] for path in found if path != prefix}
  numbered = [path for path, step in steps.items() if step.isdigit()]
  for path in sorted(numbered, key=lambda path: -int(steps[path])):
    if is_readable(path):
      return path
  return None


def compare(prefix: str, parts: Mapping[str, tf.Module]) -> Mismatch:
  """Holds the variables of live objects against a checkpoint's object graph.

  Args:
    prefix: of the checkpoint.
    parts: as for `restore`; their variables must exist.

  Returns:
    What does not fit, by path from the part's name on.

  Raises:
    CheckpointError: the checkpoint cannot be read, or lacks a part.
  """
  try:
    saved = _SavedGraph(prefix)
  except _READ_ERRORS as error:
    raise _unreadable(prefix, error) from error
  mismatch = Mismatch([], [], [])
  used = set()
  for name, part in parts.items():
    for path, variable, node in _live_variables(name, part, saved):
      shape = saved.shape(node)
      used.add(node)
      if shape is None:
        mismatch.missing.append(f'{path} {tuple(variable.shape)}')
      elif shape != list(variable.shape):
        mismatch.shapes.append(
          f'{path}: {tuple(shape)} in the checkpoint, {tuple(variable.shape)} in the model'
        )
  mismatch.unused.extend(
    f'{path} {tuple(saved.shape(node))}'
    for name in parts
    for path, node in saved.variables(name)
    if node not in used
  )
  return mismatch


class _SavedGraph:
  """The graph of objects in a checkpoint: nodes by number, edges by attribute name."""

  def __init__(self, prefix: str):
    reader = tf.train.load_checkpoint(prefix)
    self._graph = trackable_object_graph_pb2.TrackableObjectGraph()
    self._graph.ParseFromString(reader.get_tensor(_OBJECT_GRAPH_KEY))
    self._shapes = reader.get_variable_to_shape_map()

  def children(self, node: int | None) -> dict[str, int]:
    """Edges of a node; none of a node that is not there."""
    if node is None:
      return {}
    return {child.local_name: child.node_id for child in self._graph.nodes[node].children}

  def root(self, name: str) -> int:
    """Node of a part; raises CheckpointError without it."""
    roots = self.children(0)
    if name not in roots:
      raise CheckpointError(
        f'The checkpoint has no part {name!r}',
        expected=name,
        got=f'parts {sorted(roots)}',
        likely_cause="another program's file",
      )
    return roots[name]

  def shape(self, node: int | None) -> list[int] | None:
    """Shape of a variable's node; None for any other."""
    attributes = self._graph.nodes[node].attributes if node is not None else ()
    return list(self._shapes[attributes[0].checkpoint_key]) if attributes else None

  def variables(self, name: str) -> Iterator[tuple[str, int]]:
    """Pairs (path, node) of the variables below a part."""
    queue, seen = [(name, self.root(name))], set()
    for path, node in queue:  # The queue grows while it is read: breadth first.
      if node in seen:
        continue
      seen.add(node)
      if self.shape(node) is not None:
        yield path, node
      queue.extend((f'{path}/{edge}', child) for edge, child in self.children(node).items())


def _live_variables(
  name: str, part, saved: _SavedGraph
) -> Iterator[tuple[str, tf.Variable, int | None]]:
  """Triples (path, variable, node of the checkpoint or None), walking both graphs together."""
  view = tf.train.TrackableView(part)
  queue, seen = [(name, part, saved.root(name))], {id(part)}
  for path, item, node in queue:  # The queue grows while it is read: breadth first.
    if isinstance(item, tf.Variable):
      yield path, item, node
      continue
    edges = saved.children(node)
    for edge, child in view.children(item).items():
      if id(child) not in seen:
        seen.add(id(child))
        queue.append((f'{path}/{edge}', child, edges.get(edge)))


def _describe(mismatch: Mismatch) -> Iterator[str]:
  for title, lines in (
    ('not in the checkpoint', mismatch.missing),
    ('not in the model', mismatch.unused),
    ('other shape', mismatch.shapes),
  ):
    if lines:
      rest = f' and {len(lines) - _LISTED} more' if len(lines) > _LISTED else ''
      yield f'{title}: {", ".join(lines[:_LISTED])}{rest}'
