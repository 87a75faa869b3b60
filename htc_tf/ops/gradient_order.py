"""The order in which a backward pass goes through parts that do not depend on each other."""

from typing import Any

import tensorflow as tf


def backward_in_turn(results: Any, shared: Any) -> tuple[Any, Any]:
  """Identity; in the backward pass, what comes after is done before what came before begins.

  Parts that read the same features, such as the stages of the cascade, could all go backward at
  once. Each would hold its intermediate values and a gradient as large as the features until the
  last is done. Called between two parts, this lets one part at a time do so: the gradient of the
  first part's results is handed on once that of the features, from all that follows, is there.

  Args:
    results: nested float tensors that the parts before have made; None entries stay.
    shared: nested float tensors that the parts before have read and those after will read, instead
      of the ones given. What follows must use them: an unused one gets a gradient of zeros.

  Returns:
    `results` and `shared` again.
  """
  flat = tf.nest.flatten((shared, results))
  rows = [row for row, value in enumerate(flat) if value is not None]
  num_shared = sum(value is not None for value in tf.nest.flatten(shared))

  @tf.custom_gradient
  def identity(*tensors):
    def gradient(*upstream):
      with tf.control_dependencies(upstream[:num_shared]):
        held = [tf.identity(x) for x in upstream[num_shared:]]
      return [*upstream[:num_shared], *held]

    return [tf.identity(x) for x in tensors], gradient

  for row, value in zip(rows, identity(*[flat[row] for row in rows])):
    flat[row] = value
  shared, results = tf.nest.pack_sequence_as((shared, results), flat)
  return results, shared
