"""RoiAlign of ONNX in place of the marks of `htc_tf.ops.marked_pooling`."""

from collections.abc import Callable
from typing import Any

from htc_tf.ops import marked_pooling

# Function that replaces a node, with arguments for it, as tf2onnx takes it.
_Handler = tuple[Callable[..., None], list[Any]]


def handlers() -> dict[str, _Handler]:
  """The `custom_op_handlers` for tf2onnx, which put RoiAlign in the place of each mark."""
  return {marked_pooling.OPERATION: (_replace, [])}


def _replace(context: Any, node: Any, name: str, _arguments: list[Any]) -> None:
  """Put RoiAlign in the place of a mark.

  RoiAlign takes maps [batch, channels, height, width] and boxes xyxy. With `half_pixel`, the
  centers of pixels are at halves, as in `bin_samples`. With a sampling ratio of 0, a bin takes as
  many samples along an axis as it has pixels, rounded up.

  Args:
    context: graph of tf2onnx.
    node: the mark, a node of that graph.
    name: its name.
  """
  if node.get_attr_value('extrapolation_value') != marked_pooling.MARK:
    return  # It crops images. The check of the whole model names it as no operation of ONNX.
  from onnx import TensorProto

  maps, boxes, images, _ = node.input
  output = node.output[0]
  shape, dtype = context.get_shape(output), context.get_dtype(output)
  channels_first = context.make_node('Transpose', [maps], {'perm': [0, 3, 1, 2]})
  indices = context.make_node('Cast', [images], {'to': TensorProto.INT64})
  attributes = {
    'output_height': shape[1],
    'output_width': shape[2],
    'sampling_ratio': 0,
    'spatial_scale': 1.0,
    'mode': 'avg',
    'coordinate_transformation_mode': 'half_pixel',
  }
  inputs = [channels_first.output[0], boxes, indices.output[0]]
  pooled = context.make_node('RoiAlign', inputs, attributes)
  context.remove_node(name)
  context.make_node(
    'Transpose',
    pooled.output,
    {'perm': [0, 2, 3, 1]},
    name=name,
    outputs=[output],
    shapes=[shape],
    dtypes=[dtype],
  )
