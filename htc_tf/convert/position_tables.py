"""Tables of relative positions of a Swin transformer for windows of another size.

mmdetection resizes those of an ImageNet classifier as maps of relative positions, so that a
detector may have other windows than the classifier that it starts from.
"""

import math
from collections.abc import Sequence

import numpy as np

_NAME = '/attn/table'
# Constant of the cubic kernel in PyTorch; Keys 1981 derives -0.5.
_CUBIC = -0.75


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
    table: [(2 * window - 1)^2, heads] of the old windows; rows are vertical, then horizontal.
    num_rows: (2 * window - 1)^2 of the new windows.

  Returns:
    [num_rows, heads] of the type of `table`.
  """
  side, new_side = math.isqrt(table.shape[0]), math.isqrt(num_rows)
  weights = _cubic_weights(side, new_side)
  maps = table.astype(np.float64).reshape(side, side, -1)  # [y, x, heads]
  rows = np.tensordot(weights, maps, axes=1)  # [new y, x, heads]
  values = np.einsum('nx,yxh->ynh', weights, rows)  # [new y, new x, heads]
  return values.reshape(num_rows, -1).astype(table.dtype)


def _cubic_weights(size: int, new_size: int) -> np.ndarray:
  """[new_size, size] weights of the old pixels in each new one."""
  centers = (np.arange(new_size) + 0.5) * size / new_size - 0.5
  weights = np.zeros([new_size, size])
  for row, center in enumerate(centers):
    first = math.floor(center) - 1
    for pixel in range(first, first + 4):
      weights[row, min(max(pixel, 0), size - 1)] += _cubic(abs(center - pixel))
  return weights


def _cubic(distance: float) -> float:
  """Weight of a pixel by its distance, which is below 2."""
  a = _CUBIC
  if distance <= 1:
    return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
  return a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
