"""The operations of a traced graph."""

from typing import Any


def operation_types(concrete_function: Any) -> set[str]:
  """Types of all operations of a traced function and of the functions that it calls."""
  definition = concrete_function.graph.as_graph_def()
  types = {node.op for node in definition.node}
  for function in definition.library.function:
    types |= {node.op for node in function.node_def}
  return types
