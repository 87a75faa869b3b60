"""Tables of relative positions of a Swin transformer for windows of another size.

mmdetection resizes those of an ImageNet classifier as maps of relative positions, so that a
detector may have other windows than the classifier that it starts from.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

_NAME = '/attn/table'


def is_of_other_window(path: str, saved: Sequence[int] | None, shape: Sequence[int]) -> bool:
  """Whether a stored table is that of windows of another size than those of the variable.

  Args:
    path: path of the variable.
    saved: shape of the stored table; None if it is unknown.
    shape: shape of the variable, [(2 * window - 1)^2, heads].
  """
  if not path.endswith(_NAME) or saved is None or len(saved) != len(shape):
    return False
  side = math.isqrt(saved[0])
  return saved[0] != shape[0] and saved[1] == shape[1] and side % 2 == 1 and side**2 == saved[0]


def resized(table: np.ndarray, num_rows: int) -> np.ndarray:
  """A table for windows of another size: each head's map of relative positions, resized.

  The interpolation is PyTorch's bicubic one: centers of pixels are at halves, and positions beyond
  the border have the values of the border.

  Args:
    table: [(2 * window - 1)^2, heads] float32 of the old windows; rows are vertical, then
      horizontal.
    num_rows: (2 * window - 1)^2 of the new windows.

  Returns:
    [num_rows, heads] float32.
  """
  side, new_side = math.isqrt(table.shape[0]), math.isqrt(num_rows)
  maps = table.reshape(side, side, -1)  # [y, x, heads]
  # OpenCV's cubic kernel is that of PyTorch, with the constant -0.75; TensorFlow has -0.5.
  resized_maps = cv2.resize(maps, (new_side, new_side), interpolation=cv2.INTER_CUBIC)
  return resized_maps.reshape(num_rows, -1)
