"""Multiply-accumulates of the published HTC, counted from the shapes of its weights.

Every convolution and matrix product counts once for each position that it is computed at, as the
network is drawn: the stride of a block on its 3x3 convolution, the semantic laterals at P3's size,
of a mask's last 1x1 convolution the one class that is wanted. What an implementation computes
beyond that makes it slower, not more productive. RoIAlign, resizing and NMS count nothing.
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
  """Counts the parts of inference on one image.

  Args:
    shapes: shape by name of mmdetection's state dict, convolutions [out, in, height, width].
    padded: height and width of the network input.
    num_rois: RoIs of the box stages.
    num_detections: RoIs of the mask stages.

  Returns:
    1e9 multiply-accumulates of `backbone`, `fpn`, `rpn`, `semantic`, `box_stages`, `mask_stages`.
  """

  def area(stride):
    return math.ceil(padded[0] / stride) * math.ceil(padded[1] / stride)

  parts = {
    'backbone': ('backbone.', lambda name, size: size * area(_backbone_stride(name))),
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
  """1e9 multiply-accumulates of a 3x3 convolution that keeps the size."""
  return height * width * channels * channels * 9 / 1e9


def _count(
  shapes: Mapping[str, Sequence[int]], prefix: str, macs: Callable[[str, int], int]
) -> float:
  """Sums over the kernels, which alone have two axes or more."""
  return (
    sum(
      macs(name, math.prod(shape))
      for name, shape in shapes.items()
      if name.startswith(prefix) and len(shape) > 1
    )
    / 1e9
  )


def _backbone_stride(name: str) -> int:
  """Image pixels per output of a convolution; the first of a block runs before its stride."""
  block = re.fullmatch(r'backbone\.layer(\d)\.(\d+)\.(\w+)\..*', name)
  if block is None:
    return 2  # the stem
  layer, index, part = int(block[1]), int(block[2]), block[3]
  before_stride = layer > 1 and index == 0 and part == 'conv1'
  return 2**layer if before_stride else 2 ** (layer + 1)


def _mask_macs(name: str, shape: Sequence[int]) -> int:
  """Of one RoI."""
  if name.endswith('conv_logits.weight'):
    return shape[1] * (2 * _MASK_SIZE) ** 2
  return math.prod(shape) * _MASK_SIZE**2
