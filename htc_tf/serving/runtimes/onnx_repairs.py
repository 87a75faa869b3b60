"""Repairs of what tf2onnx and onnxruntime write, and onnxruntime accepts, but others do not."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def repair(graph: Any, constants: Mapping[str, np.ndarray] | None = None) -> None:
  """Change a graph, and the graphs inside it, so that it means the same for every runtime.

  - An Unsqueeze or Squeeze of no axes becomes an Identity: OpenVINO adds an axis.
  - A body of a Loop returns none of its inputs unchanged, but a copy: OpenVINO counts such
    inputs twice and rejects most of these Loops.

  Args:
    graph: `onnx.GraphProto`.
    constants: values by name of the graphs that this one is inside of.
  """
  known = {**(constants or {}), **_constants(graph)}
  for node in graph.node:
    for attribute in node.attribute:
      if attribute.HasField('g'):
        repair(attribute.g, known)
        if node.op_type == 'Loop':
          _copy_returned_inputs(attribute.g)
    if node.op_type in ('Unsqueeze', 'Squeeze') and len(node.input) > 1:
      axes = known.get(node.input[1])
      if axes is not None and axes.size == 0:
        node.op_type = 'Identity'
        del node.input[1:]
  _drop_unused_initializers(graph)


def sort(graph: Any) -> None:
  """Put each node of a graph after those whose outputs it reads, or a graph inside it reads.

  ONNX requires this order. onnxruntime's quantization does not see what a Loop reads inside.

  Args:
    graph: `onnx.GraphProto`.
  """
  makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
  order: list[int] = []
  seen: set[int] = set()
  for start in range(len(graph.node)):
    waiting = [start]
    while waiting:
      index = waiting[-1]
      missing = [
        makers[name]
        for name in _read_by(graph.node[index])
        if name in makers and makers[name] not in seen
      ]
      if index in seen or not missing:
        waiting.pop()
        if index not in seen:
          seen.add(index)
          order.append(index)
      else:
        waiting += missing
  nodes = [graph.node[index] for index in order]
  del graph.node[:]
  graph.node.extend(nodes)


def _read_by(node: Any) -> Iterator[str]:
  """Names that a node and the graphs inside it read."""
  yield from node.input
  for attribute in node.attribute:
    if attribute.HasField('g'):
      for inner in attribute.g.node:
        yield from _read_by(inner)
      yield from (output.name for output in attribute.g.output)


def _constants(graph: Any) -> dict[str, np.ndarray]:
  """Values of the initializers and Constant nodes of a graph, by name."""
  from onnx import numpy_helper

  values = {tensor.name: tensor for tensor in graph.initializer}
  for node in graph.node:
    if node.op_type == 'Constant':
      for attribute in node.attribute:
        if attribute.name == 'value':
          values[node.output[0]] = attribute.t
  # The axes of an operation are few numbers; weights need not be decoded.
  return {
    name: numpy_helper.to_array(tensor)
    for name, tensor in values.items()
    if len(tensor.dims) == 1 and tensor.dims[0] <= 8
  }


def _copy_returned_inputs(body: Any) -> None:
  from onnx import helper

  inputs = {value.name for value in body.input}
  for output in body.output:
    if output.name in inputs:
      copy = f'{output.name}_copy'
      body.node.append(helper.make_node('Identity', [output.name], [copy]))
      output.name = copy


def _drop_unused_initializers(graph: Any) -> None:
  """Drop the initializers that nothing reads any more: onnxruntime warns of each."""
  used = _names_read(graph)
  kept = [tensor for tensor in graph.initializer if tensor.name in used]
  if len(kept) < len(graph.initializer):
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _names_read(graph: Any) -> set[str]:
  names = {output.name for output in graph.output}
  for node in graph.node:
    names.update(node.input)
    for attribute in node.attribute:
      if attribute.HasField('g'):
        names |= _names_read(attribute.g)
  return names
