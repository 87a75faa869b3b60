"""The order in which a backward pass runs parts that do not depend on each other."""

from typing import Any

import tensorflow as tf


def run_backward_later(results: Any, shared: Any) -> tuple[Any, Any]:
  """Identity whose backward pass runs everything after it before anything before it.

  Parts of a model that read the same features, such as the stages of the cascade, could all run
  backward at once. Each would then hold its activations and a gradient as large as the features
  until the last part is done. A call between two parts makes them take turns: the gradient of the
  first part's results is passed on only when the gradient of the features from all later parts is
  complete, so that the memory of those parts is free again.

  Args:
    results: nested float tensors that the parts so far have computed; entries may be None.
    shared: nested float tensors that the parts so far have read, and that later parts will read in
      the version returned here. Later parts must use them: an unused one gets a gradient of zeros.

  Returns:
    `results` and `shared`, unchanged in value.
  """
  flat = tf.nest.flatten((shared, results))
  rows = [row for row, value in enumerate(flat) if value is not None]
  num_shared = sum(value is not None for value in tf.nest.flatten(shared))

  @tf.custom_gradient
  def identity(*tensors):
    def gradient(*upstream):
      with tf.control_dependencies(upstream[:num_shared]):
        delayed = [tf.identity(x) for x in upstream[num_shared:]]
      return [*upstream[:num_shared], *delayed]

    return [tf.identity(x) for x in tensors], gradient

  for row, value in zip(rows, identity(*[flat[row] for row in rows])):
    flat[row] = value
  shared, results = tf.nest.pack_sequence_as((shared, results), flat)
  return results, shared
