"""An attempt that a graph can make: ops that raise give a blank instead.

TensorFlow's decoding ops raise on bytes they cannot read, and a graph knows no `try`. A tf.data
pipeline of one element does: `ignore_errors` drops the element, and the blank one behind it takes
its place.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def attempt(function: Callable[[Any], Any], element: Any, blank: Any = None) -> Any:
  """What the function gives of an element, or the blank where one of its ops raises.

  Args:
    function: takes the element; returns nested tensors. Its random ops must be stateless: they
      would begin anew with every attempt.
    element: nested tensors.
    blank: tensors of the structure and types that `function` gives; None: zeros and empty strings,
      of no length along axes of unknown length.

  Returns:
    Nested tensors, their shapes as known of those of `function`.
  """
  make_blank = (lambda zeros: zeros) if blank is None else lambda _: blank
  dataset = attempt_to_element(function, element, make_blank).with_options(_plain_options())
  return dataset.get_single_element()


def attempt_to_element(
  function: Callable[[Any], Any], element: Any, make_blank: Callable[[Any], Any]
) -> tf.data.Dataset:
  """`attempt` as a data set of one element, for a pipeline.

  Args:
    function: as for `attempt`.
    element: likewise.
    make_blank: makes the blank, of zeros and empty strings in the structure the function gives.
  """
  # A dictionary would reach the function of a data set as it is, a tuple in pieces.
  tried = tf.data.Dataset.from_tensors({'element': element}).map(
    lambda item: function(item['element'])
  )
  blank = tf.data.Dataset.from_tensors(make_blank(zeros_like_spec(tried.element_spec)))
  return (
    tried.ignore_errors()
    .concatenate(blank)
    .take(1)
    .map(
      lambda *result: tf.nest.map_structure(
        lambda value, spec: tf.ensure_shape(value, spec.shape),
        result if len(result) > 1 else result[0],
        tried.element_spec,
      )
    )
  )


def zeros_like_spec(element_spec: Any) -> Any:
  """Zeros and empty strings of nested `tf.TensorSpec`; of no length along unknown axes."""
  return tf.nest.map_structure(
    lambda spec: tf.zeros([size or 0 for size in spec.shape], spec.dtype), element_spec
  )


def _plain_options() -> tf.data.Options:
  """No optimisation of a pipeline that is made anew for every element and yields one."""
  options = tf.data.Options()
  options.autotune.enabled = False
  options.experimental_optimization.apply_default_optimizations = False
  return options
