"""Multiply-accumulates of an HTC in the published layout, counted from the shapes of its weights.

Every convolution and matrix product counts once for each position at which the published network
computes it: the stride of a block is on its 3x3 convolution, the semantic laterals are computed at
the size of P3, and the last 1x1 convolution of a mask is computed for one class only. Additional
work of an implementation is not counted. RoIAlign, resizing and NMS count as zero.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

_PYRAMID_STRIDES = (4, 8, 16, 32, 64)
_SEMANTIC_STRIDE = 8
_MASK_SIZE = 14


def by_part(
  shapes: Mapping[str, Sequence[int]], padded: tuple[int, int], num_rois: int, num_detections: int
) -> dict[str, float]:
  """Multiply-accumulates of the parts of inference on one image.

  Args:
    shapes: shapes of the weights by their names in mmdetection; convolutions are [out, in, height,
      width].
    padded: height and width of the network input.
    num_rois: number of RoIs of the box stages.
    num_detections: number of RoIs of the mask stages.

  Returns:
    Multiply-accumulates in 1e9 of `backbone`, `fpn`, `rpn`, `semantic`, `box_stages` and
    `mask_stages`.
  """

  def area(stride: int) -> int:
    return math.ceil(padded[0] / stride) * math.ceil(padded[1] / stride)

  # A bottleneck block has its stride on the second convolution, a basic block on the first.
  has_bottlenecks = any(name.startswith('backbone.layer1.0.conv3') for name in shapes)
  parts: dict[str, tuple[str, Callable[[str, int], int]]] = {
    'backbone': (
      'backbone.',
      lambda name, size: size * area(_backbone_stride(name, has_bottlenecks)),
    ),
    'fpn': ('neck.', lambda name, size: size * area(4 * 2 ** int(name.split('.')[2]))),
    'rpn': ('rpn_head.', lambda name, size: size * sum(map(area, _PYRAMID_STRIDES))),
    'semantic': ('roi_head.semantic_head.', lambda name, size: size * area(_SEMANTIC_STRIDE)),
    'box_stages': ('roi_head.bbox_head.', lambda name, size: size * num_rois),
    'mask_stages': (
      'roi_head.mask_head.',
      lambda name, size: num_detections * _mask_macs(name, shapes[name]),
    ),
  }
  return {part: _count(shapes, prefix, macs) for part, (prefix, macs) in parts.items()}


def convolution(height: int, width: int, channels: int) -> float:
  """Multiply-accumulates in 1e9 of a 3x3 convolution that keeps the size."""
  return height * width * channels * channels * 9 / 1e9


def _count(
  shapes: Mapping[str, Sequence[int]], prefix: str, macs: Callable[[str, int], int]
) -> float:
  """Sum over the kernels, the only weights with two or more axes, in 1e9."""
  return (
    sum(
      macs(name, math.prod(shape))
      for name, shape in shapes.items()
      if name.startswith(prefix) and len(shape) > 1
    )
    / 1e9
  )


def _backbone_stride(name: str, has_bottlenecks: bool) -> int:
  """Stride of the outputs of a convolution, in image pixels."""
  block = re.fullmatch(r'backbone\.layer(\d)\.(\d+)\.(\w+)\..*', name)
  if block is None:
    return 2  # the stem
  layer, index, part = int(block[1]), int(block[2]), block[3]
  before_stride = has_bottlenecks and layer > 1 and index == 0 and part == 'conv1'
  return 2**layer if before_stride else 2 ** (layer + 1)


def _mask_macs(name: str, shape: Sequence[int]) -> int:
  """Multiply-accumulates for one RoI."""
  if name.endswith('conv_logits.weight'):
    return shape[1] * (2 * _MASK_SIZE) ** 2
  return math.prod(shape) * _MASK_SIZE**2
