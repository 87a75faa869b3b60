"""Multiply-accumulates of detection by any model, counted in its graph.

Every convolution and matrix product counts at the sizes at which the graph computes it. A grouped
convolution counts the channels of its groups, and a deformable one counts as a plain one of its
kernel; what an implementation adds to them is not counted. Averages, sampling, RoIAlign, resizing
and NMS count as zero. Where this implementation computes less than the published one (the semantic
laterals of the coarse levels, at their own size), the count is lower; see `gmac` for the other.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import tensorflow as tf

from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.layers import deform_conv, padded_conv, switchable_conv

_POOLING = ('SparseMatrixMatMul',)  # RoIAlign as a product with a matrix of weights
_Shapes = Sequence[Sequence[int]]


def count(model: HTCModel, padded: tuple[int, int]) -> float:
  """Multiply-accumulates, in 1e9, of detection in one image.

  Args:
    model: the model; its variables must exist.
    padded: height and width of the network input.

  Raises:
    ValueError: the graph has a convolution or product whose size or number is not known. Nothing is
      left out silently.
  """
  inputs = {
    'images': tf.TensorSpec([1, *padded, 3]),
    'image_shape': tf.TensorSpec([1, 2]),
  }
  with _plain_convolutions():
    graph = tf.function(model.detect, autograph=False).get_concrete_function(inputs).graph
  return sum(map(_operation, _operations(graph))) / 1e9


@contextlib.contextmanager
def _plain_convolutions() -> Iterator[None]:
  """Build convolutions whose groups, displaced taps and averages are single operations."""

  def grouped(x, kernel, groups, strides, padding):
    del groups  # The kernel has the channels of one group.
    return tf.nn.conv2d(x, kernel, strides, padding)

  def deformable(x, offsets, kernel, stride=1, groups=1, dilation=1):
    del offsets, groups
    return tf.nn.conv2d(x, kernel, stride, 'SAME', dilations=dilation)

  with (
    mock.patch.object(padded_conv, 'grouped_conv2d', grouped),
    mock.patch.object(deform_conv, 'deform_conv2d', deformable),
    mock.patch.object(switchable_conv, 'deform_conv2d', deformable),
    mock.patch.object(switchable_conv, 'local_average', lambda x, window: x),
  ):
    yield


def _operations(graph: tf.Graph) -> Iterator[tf.Operation]:
  """The operations of a graph and, if none of them is counted, of its functions.

  Raises:
    ValueError: a function, such as the body of a loop, has a counted operation.
  """
  yield from graph.get_operations()
  for function in graph._functions.values():
    inner = [operation.name for operation in _operations(function.graph) if _is_counted(operation)]
    if inner:
      raise ValueError(
        f'It is not known how often {function.graph.name} runs, which has {inner[0]}'
      )


def _is_counted(operation: tf.Operation) -> bool:
  if operation.type in _POOLING:
    return False
  return operation.type in _COUNTS or 'Conv' in operation.type or 'MatMul' in operation.type


def _operation(operation: tf.Operation) -> int:
  if not _is_counted(operation):
    return 0
  inputs = [tuple(value.shape) for value in operation.inputs if value.shape.rank is not None]
  output = tuple(operation.outputs[0].shape)
  if operation.type not in _COUNTS or None in (*output, *(size for one in inputs for size in one)):
    raise ValueError(f'{operation.type} {operation.name} of the shapes {inputs} cannot be counted')
  return _COUNTS[operation.type](operation, inputs, output)


def _convolution(operation: Any, inputs: _Shapes, output: Sequence[int]) -> int:
  del operation
  height, width, channels, _ = inputs[1]
  return math.prod(output) * height * width * channels


def _transposed_convolution(operation: Any, inputs: _Shapes, output: Sequence[int]) -> int:
  del operation, output
  height, width, filters, _ = inputs[1]
  return math.prod(inputs[2]) * height * width * filters


def _product(operation: Any, inputs: _Shapes, output: Sequence[int]) -> int:
  transposed = operation.get_attr('transpose_a' if operation.type == 'MatMul' else 'adj_x')
  return math.prod(output) * inputs[0][-2 if transposed else -1]


def _einsum(operation: Any, inputs: _Shapes, output: Sequence[int]) -> int:
  del output
  names = operation.get_attr('equation').decode().split('->')[0].split(',')
  sizes = {name: size for term, shape in zip(names, inputs) for name, size in zip(term, shape)}
  return math.prod(sizes.values())


_COUNTS: dict[str, Callable[[Any, _Shapes, Sequence[int]], int]] = {
  'Conv2D': _convolution,
  'Conv2DBackpropInput': _transposed_convolution,
  'MatMul': _product,
  'BatchMatMulV2': _product,
  'Einsum': _einsum,
}
