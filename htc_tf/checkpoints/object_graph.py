"""Comparison of a checkpoint's saved object graph with the variables of live objects."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from htc_tf.checkpoints import readability
from htc_tf.errors import CheckpointError

# TensorFlow stores the object graph under this key.
_OBJECT_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'


class Mismatch(NamedTuple):
  """Differences between a checkpoint and a model, one printable line per variable.

  Attributes:
    missing: variables of the model that the checkpoint does not have.
    unused: variables of the checkpoint that the model does not have.
    shapes: variables that have another shape in the checkpoint.
  """

  missing: list[str]
  unused: list[str]
  shapes: list[str]


def compare(prefix: str, parts: Mapping[str, tf.Module]) -> Mismatch:
  """Differences between live objects and a checkpoint, by variable path.

  Args:
    prefix: path of the checkpoint.
    parts: name in the checkpoint to live object, e.g. `{'model': model}`; variables must exist.

  Raises:
    CheckpointError: the checkpoint cannot be read, or lacks a part.
  """
  saved = _read(prefix)
  mismatch = Mismatch([], [], [])
  used = set()
  for name, part in parts.items():
    for path, variable, node in _live_variables(name, part, saved):
      used.add(node)
      _add_difference(mismatch, path, saved.shape(node), list(variable.shape))
  mismatch.unused.extend(
    f'{path} {_text(saved.shape(node))}'
    for name in parts
    for path, node in saved.variables(name)
    if node not in used
  )
  return mismatch


def saved_shapes(prefix: str, name: str) -> dict[str, list[int]]:
  """The shape of every variable below a part of a checkpoint, by path, breadth first.

  Args:
    prefix: path of the checkpoint.
    name: name of the part in the checkpoint, such as 'model'.

  Raises:
    CheckpointError: the checkpoint cannot be read, or lacks the part.
  """
  saved = _read(prefix)
  return {path: saved.shape(node) or [] for path, node in saved.variables(name)}


def saved_keys(prefix: str, name: str, part: tf.Module) -> list[tuple[str, tf.Variable, str]]:
  """Triples (path, variable, key in the checkpoint) of the variables of a live object.

  Args:
    prefix: path of a checkpoint that has all of them; see `restoration.check_fits`.
    name: name of the object in the checkpoint.
    part: the object; its variables must exist.

  Raises:
    CheckpointError: the checkpoint cannot be read, or lacks the part.
  """
  saved = _read(prefix)
  return [
    (path, variable, saved.key(node))
    for path, variable, node in _live_variables(name, part, saved)
    if node is not None
  ]


def _read(prefix: str) -> '_SavedGraph':
  try:
    return _SavedGraph(prefix)
  except readability.READ_ERRORS as error:
    raise readability.unreadable(prefix, error) from error


def _add_difference(
  mismatch: Mismatch, path: str, saved: list[int] | None, live: list[int]
) -> None:
  """Add a line to `mismatch` unless the shapes of a saved and a live variable agree."""
  if saved is None:
    mismatch.missing.append(f'{path} {_text(live)}')
  elif saved != live:
    mismatch.shapes.append(f'{path}: {_text(saved)} in the checkpoint, {_text(live)} in the model')


def _text(shape: list[int] | None) -> str:
  return str(tuple(shape or ()))


class _SavedGraph:
  """Object graph of a checkpoint: numbered nodes, and edges named by attribute.

  Args:
    prefix: path of the checkpoint.
  """

  def __init__(self, prefix: str):
    reader = readability.open_reader(prefix)
    self._graph = trackable_object_graph_pb2.TrackableObjectGraph()
    self._graph.ParseFromString(reader.get_tensor(_OBJECT_GRAPH_KEY))
    self._shapes = reader.get_variable_to_shape_map()

  def children(self, node: int | None) -> dict[str, int]:
    """Child nodes by attribute name; empty for a node that does not exist."""
    if node is None:
      return {}
    return {child.local_name: child.node_id for child in self._graph.nodes[node].children}

  def root(self, name: str) -> int:
    """Node of a part.

    Raises:
      CheckpointError: the checkpoint does not have the part.
    """
    roots = self.children(0)
    if name not in roots:
      raise CheckpointError(
        f'The checkpoint has no part {name!r}',
        expected=name,
        got=f'parts {sorted(roots)}',
        likely_cause='a checkpoint of single parts, such as a converted backbone: name them in '
        'task.init_checkpoint_modules; or one that another program wrote',
      )
    return roots[name]

  def shape(self, node: int | None) -> list[int] | None:
    """Shape of a variable's node; None for any other node."""
    if node is None or not self._graph.nodes[node].attributes:
      return None
    return list(self._shapes[self.key(node)])

  def key(self, node: int) -> str:
    """Key in the checkpoint of the value of a variable's node."""
    return str(self._graph.nodes[node].attributes[0].checkpoint_key)

  def variables(self, name: str) -> Iterator[tuple[str, int]]:
    """Pairs (path, node) of the variables below a part, breadth first."""
    queue, seen = [(name, self.root(name))], set()
    for path, node in queue:  # The queue grows during the loop.
      if node in seen:
        continue
      seen.add(node)
      if self.shape(node) is not None:
        yield path, node
      queue.extend((f'{path}/{edge}', child) for edge, child in self.children(node).items())


def _live_variables(
  name: str, part: Any, saved: _SavedGraph
) -> Iterator[tuple[str, tf.Variable, int | None]]:
  """Triples (path, variable, saved node or None) from walking both graphs in parallel."""
  view = tf.train.TrackableView(part)
  queue: list[tuple[str, Any, int | None]] = [(name, part, saved.root(name))]
  seen = {id(part)}
  for path, item, node in queue:  # The queue grows during the loop: breadth first.
    if isinstance(item, tf.Variable):
      yield path, item, node
      continue
    edges = saved.children(node)
    for edge, child in view.children(item).items():
      if id(child) not in seen:
        seen.add(id(child))
        queue.append((f'{path}/{edge}', child, edges.get(edge)))
