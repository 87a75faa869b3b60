"""Order in which a backward pass runs parts that do not depend on each other."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def run_backward_later(results: Any, shared: Any) -> tuple[Any, Any]:
  """Identity that delays the backward pass of earlier parts until that of later parts is done.

  Parts of a model that read the same features, such as the stages of the cascade, could all run
  backward at once. The activations of each part, and a gradient as large as the features, would
  then stay in memory until the last part is done. A call between two parts makes their backward
  passes run one after the other: the gradient of the first part's results is passed on only when
  all later parts have contributed to the gradient of the features and their memory is free again.

  Args:
    results: nested float tensors that the parts so far have computed; entries may be None.
    shared: nested float tensors that the parts so far have read. Later parts must read the version
      returned here; a tensor that they do not read gets a gradient of zeros.

  Returns:
    `results` and `shared`, unchanged in value.
  """
  flat = tf.nest.flatten((shared, results))
  rows = [row for row, value in enumerate(flat) if value is not None]
  num_shared = sum(value is not None for value in tf.nest.flatten(shared))

  @tf.custom_gradient
  def identity(*tensors: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., list[tf.Tensor]]]:
    def gradient(*upstream: tf.Tensor) -> list[tf.Tensor]:
      with tf.control_dependencies(upstream[:num_shared]):
        delayed = [tf.identity(x) for x in upstream[num_shared:]]
      return [*upstream[:num_shared], *delayed]

    return [tf.identity(x) for x in tensors], gradient

  for row, value in zip(rows, identity(*[flat[row] for row in rows])):
    flat[row] = value
  shared, results = tf.nest.pack_sequence_as((shared, results), flat)
  return results, shared
