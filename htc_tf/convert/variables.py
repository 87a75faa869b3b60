"""Paths of a model's variables, made of the attribute names that lead to them."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from htc_tf.modeling.htc_model import HTCModel

_PARTS = ('backbone', 'decoder', 'rpn_head', 'semantic_head', 'context_head', 'cascade')


def named_variables(model: HTCModel) -> dict[str, tf.Variable]:
  """Every variable of a model by its path.

  The path consists of attribute names without leading underscores and of list positions, e.g.
  `cascade/stages/0/box_head/fcs/0/kernel` or `backbone/layer1/0/conv1/kernel`.

  Args:
    model: the model; its variables must exist.
  """
  found: dict[str, tf.Variable] = {}
  for part in _PARTS:
    if getattr(model, part, None) is not None:
      found.update(_variables_below(part, getattr(model, part)))
  return found


def _variables_below(part: str, root: tf.Module) -> Iterator[tuple[str, tf.Variable]]:
  """Pairs (path, variable), breadth first."""
  queue: list[tuple[str, Any]] = [(part, root)]
  seen = {id(root)}
  for path, item in queue:  # The queue grows during the loop.
    if isinstance(item, tf.Variable):
      yield path, item
      continue
    for edge, child in tf.train.TrackableView(item).children(item).items():
      if id(child) not in seen:
        seen.add(id(child))
        queue.append((f'{path}/{edge.lstrip("_")}', child))
