"""The operations of a graph that have no kernel on a GPU.

The package of TensorFlow registers its GPU kernels on machines without a GPU too.
"""

import functools
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.core.framework import kernel_def_pb2, node_def_pb2
from tensorflow.python.framework import kernels, op_def_registry

# A kernel for all devices ('DEFAULT') also runs where there is a GPU.
_DEVICES = ('GPU', 'DEFAULT')


def without_kernel(function: tf.types.experimental.ConcreteFunction) -> dict[str, int]:
  """Number of nodes without a GPU kernel by operation, in a graph and in those that it calls."""
  graph = function.graph.as_graph_def()
  names = {called.signature.name for called in graph.library.function}
  counts: dict[str, int] = {}
  for node in _nodes(graph):
    if node.op not in names and not _has_kernel(node):
      counts[node.op] = counts.get(node.op, 0) + 1
  return counts


def _nodes(graph: tf.compat.v1.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
  yield from graph.node
  for function in graph.library.function:
    yield from function.node_def


def _has_kernel(node: node_def_pb2.NodeDef) -> bool:
  return any(_allows(kernel, node) for kernel in _gpu_kernels(node.op))


@functools.cache
def _gpu_kernels(op: str) -> list[kernel_def_pb2.KernelDef]:
  registered = kernels.get_registered_kernels_for_op(op).kernel
  return [kernel for kernel in registered if kernel.device_type in _DEVICES]


def _allows(kernel: kernel_def_pb2.KernelDef, node: node_def_pb2.NodeDef) -> bool:
  """Whether a kernel takes the types of a node."""
  for constraint in kernel.constraint:
    value = node.attr.get(constraint.name) or _default(node.op, constraint.name)
    given = [value.type] if value.type else list(value.list.type)
    if any(type_ not in constraint.allowed_values.list.type for type_ in given):
      return False
  return True


def _default(op: str, attribute: str) -> tf.compat.v1.AttrValue:
  definition = op_def_registry.get(op)
  return next(attr.default_value for attr in definition.attr if attr.name == attribute)
