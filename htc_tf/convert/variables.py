"""Names of a model's variables: the attributes that lead to them."""

from collections.abc import Iterator

import tensorflow as tf

from htc_tf.modeling.htc_model import HTCModel

_PARTS = ('backbone', 'decoder', 'rpn_head', 'semantic_head', 'cascade')


def named_variables(model: HTCModel) -> dict[str, tf.Variable]:
  """Every variable of an `HTCModel` by its path.

  The path is made of attribute names without leading underscores and of list positions, e.g.
  `cascade/stages/0/box_head/fcs/0/kernel` or `backbone/layer1/0/conv1/kernel`.

  Args:
    model: with its variables made.
  """
  found = {}
  for part in _PARTS:
    if getattr(model, part) is not None:
      found.update(_variables_below(part, getattr(model, part)))
  return found


def _variables_below(part: str, root: tf.Module) -> Iterator[tuple[str, tf.Variable]]:
  queue, seen = [(part, root)], {id(root)}
  for path, item in queue:  # The queue grows while it is read: breadth first.
    if isinstance(item, tf.Variable):
      yield path, item
      continue
    for edge, child in tf.train.TrackableView(item).children(item).items():
      if id(child) not in seen:
        seen.add(id(child))
        queue.append((f'{path}/{edge.lstrip("_")}', child))
