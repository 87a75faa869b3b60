"""Changes of layout between published weights and our variables, each with its inverse.

A row of a name map lists the steps that convert the published array to the variable.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Side of the RoI features that box heads flatten; in the published layout, the channels come first.
_ROI_SIZE = 7
_YX_ORDER = [1, 0, 3, 2]  # self-inverse


class Step(NamedTuple):
  """A lossless change of layout.

  Attributes:
    apply: function from the published layout to ours.
    revert: the inverse of `apply`.
  """

  apply: Callable[[np.ndarray], np.ndarray]
  revert: Callable[[np.ndarray], np.ndarray]


def _flat_channels_last(weight: np.ndarray) -> np.ndarray:
  grid = weight.reshape(-1, _ROI_SIZE, _ROI_SIZE, weight.shape[-1])  # [C, y, x, out]
  return grid.transpose(1, 2, 0, 3).reshape(weight.shape)


def _flat_channels_first(weight: np.ndarray) -> np.ndarray:
  grid = weight.reshape(_ROI_SIZE, _ROI_SIZE, -1, weight.shape[-1])  # [y, x, C, out]
  return grid.transpose(2, 0, 1, 3).reshape(weight.shape)


def _swap_xy(values: np.ndarray) -> np.ndarray:
  groups = values.reshape(*values.shape[:-1], -1, 4)[..., _YX_ORDER]  # [..., anchors, 4]
  return groups.reshape(values.shape)


# Convolution [out, in, y, x] to [y, x, in, out], and, by the same permutation, transposed
# convolution [in, out, y, x] to [y, x, out, in].
CONV = Step(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
# Fully connected [out, in] to [in, out].
LINEAR = Step(np.transpose, np.transpose)
# Fully connected weight of flattened RoIs, [C * y * x, out] to [y * x * C, out].
FLAT_ROI = Step(_flat_channels_last, _flat_channels_first)
# Last axis from dx, dy, dw, dh (per anchor) to dy, dx, dh, dw.
YX_DELTAS = Step(_swap_xy, _swap_xy)
# Last axis from background last to background first.
BACKGROUND_FIRST = Step(lambda x: np.roll(x, 1, -1), lambda x: np.roll(x, -1, -1))
# 1x1 convolution [classes, filters, 1, 1] to [classes, filters].
POINTWISE = Step(lambda x: x.reshape(x.shape[:2]), lambda x: x[..., np.newaxis, np.newaxis])


def apply(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
  """The published array in the layout of the variable.

  Args:
    steps: steps of the row of the name map, in the order of application.
    values: array in the published layout; the constants above list the axes of each step.

  Raises:
    ValueError: the rank or size of the array does not suit a step.
  """
  for step in steps:
    values = step.apply(values)
  return values


def revert(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
  """The value of a variable in the published layout; the inverse of `apply`."""
  for step in reversed(steps):
    values = step.revert(values)
  return values
