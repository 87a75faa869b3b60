"""Functions whose weights are constants of their graph."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

# Marks of a function by TensorFlow's optimizer, with which no SavedModel can be loaded, and of an
# operation by a gradient of its own, for which loading would warn that it is not saved.
_FUNCTION_MARK, _GRADIENT_MARK = '_GrapplerSpecializedFunc', '_gradient_op_type'
# A graph is stored as one message, which cannot exceed 2 GiB.
MAX_BYTES = 3 * 2**29


def fit(variables: Sequence[tf.Variable]) -> bool:
  """Whether a graph can hold the values of the variables."""
  sizes = (variable.shape.num_elements() * variable.dtype.size for variable in variables)
  return sum(sizes) <= MAX_BYTES


def with_constant_weights(
  function: Callable[..., Any], specs: Sequence[Any], variables: Sequence[tf.Variable]
) -> Callable[..., Any]:
  """The function as a graph with constants in the place of its variables.

  TensorFlow then computes once, when it loads the graph, what depends only on weights: their cast
  to 16 bits, and their layout for its convolutions. Detection with R50 at 800x1344 takes 5% less
  time on a CPU.

  Args:
    function: function of tensors, or of nests of tensors.
    specs: `tf.TensorSpec`s of its arguments, or nests of them.
    variables: variables that it reads; they stay variables if a graph cannot hold their values.

  Returns:
    A function of the same arguments and results.
  """
  traced = tf.function(function, input_signature=specs, autograph=False)
  if not fit(variables):
    return traced
  concrete = traced.get_concrete_function()
  # Control flow of version 1 would make loops run one iteration after another.
  frozen = convert_to_constants.convert_variables_to_constants_v2(
    concrete, lower_control_flow=False
  )
  frozen = _without_marks(frozen)

  def run(*arguments: Any) -> Any:
    outputs = frozen(*tf.nest.flatten(arguments))
    return tf.nest.pack_sequence_as(concrete.structured_outputs, outputs)

  return run


def _without_marks(
  function: tf.types.experimental.ConcreteFunction,
) -> tf.types.experimental.ConcreteFunction:
  """A function without the marks that a SavedModel must not have.

  The functions that it calls get new names, because the old ones belong to the marked functions.
  """
  graph = function.graph.as_graph_def()
  called = graph.library.function
  new_names = {each.signature.name: f'{each.signature.name}_unmarked' for each in called}
  for each in called:
    each.attr.pop(_FUNCTION_MARK, None)
    each.signature.name = new_names[each.signature.name]
  for node in itertools.chain(graph.node, *(each.node_def for each in called)):
    node.op = new_names.get(node.op, node.op)
    node.attr.pop(_GRADIENT_MARK, None)
    for value in node.attr.values():
      references = [value.func] if value.HasField('func') else value.list.func
      for reference in references:
        reference.name = new_names.get(reference.name, reference.name)
  inputs, outputs = (
    [tensor.name for tensor in tensors] for tensors in (function.inputs, function.outputs)
  )

  def imported() -> None:
    tf.graph_util.import_graph_def(graph, name='')

  return tf.compat.v1.wrap_function(imported, []).prune(inputs, outputs)
