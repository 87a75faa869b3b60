"""Graph code with a fallback for ops that raise.

Graphs have no try/except; a one-element dataset with `ignore_errors` replaces it: the element is
dropped if an op raises, and the fallback that follows it takes its place.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from htc_tf.ops.without_autograph import without_autograph


def run_or_fallback(function: Callable[[Any], Any], element: Any, fallback: Any = None) -> Any:
  """The result of `function(element)`, or the fallback if an op of the function raises.

  Args:
    function: function from the element to nested tensors, without Python control flow on tensors.
      Its random ops must be stateless, because stateful ones would restart with every call.
    element: nested tensors.
    fallback: tensors of the structure and types of the result; None means zeros and empty strings,
      with length 0 along axes of unknown length.

  Returns:
    Nested tensors with the static shapes of the function's result.
  """
  make_fallback = (lambda zeros: zeros) if fallback is None else lambda _: fallback
  dataset = dataset_or_fallback(function, element, make_fallback).with_options(_plain_options())
  return dataset.get_single_element()


def dataset_or_fallback(
  function: Callable[[Any], Any], element: Any, make_fallback: Callable[[Any], Any]
) -> tf.data.Dataset:
  """`run_or_fallback` as a dataset of one element, for use in a pipeline.

  Args:
    function: function as in `run_or_fallback`.
    element: nested tensors.
    make_fallback: function from zeros in the structure of the result to the fallback.
  """

  @without_autograph
  def call(item: dict[str, Any]) -> Any:
    return function(item['element'])

  # A dataset passes a dictionary to its function as one argument, but unpacks a tuple.
  tried = tf.data.Dataset.from_tensors({'element': element}).map(call)
  fallback = tf.data.Dataset.from_tensors(make_fallback(zeros_like_spec(tried.element_spec)))

  @without_autograph
  def restore_shapes(*result: Any) -> Any:
    return tf.nest.map_structure(
      lambda value, spec: tf.ensure_shape(value, spec.shape),
      result if len(result) > 1 else result[0],
      tried.element_spec,
    )

  return tried.ignore_errors().concatenate(fallback).take(1).map(restore_shapes)


def zeros_like_spec(element_spec: Any) -> Any:
  """Zeros and empty strings for nested `tf.TensorSpec`, with length 0 along unknown axes."""
  return tf.nest.map_structure(
    lambda spec: tf.zeros([size or 0 for size in spec.shape], spec.dtype), element_spec
  )


def _plain_options() -> tf.data.Options:
  """Options without optimization, for a pipeline that is rebuilt for every element."""
  options = tf.data.Options()
  options.autotune.enabled = False
  options.experimental_optimization.apply_default_optimizations = False
  return options
