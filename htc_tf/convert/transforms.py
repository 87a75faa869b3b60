"""Steps between the axes of published weights and ours, each with its inverse.

A row of a name map lists the steps that lead from the published array to the variable.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# The box heads flatten RoI features of this side, published with the channels slowest.
_ROI_SIZE = 7
_YX_ORDER = [1, 0, 3, 2]  # its own inverse


class Step(NamedTuple):
  """A lossless change of layout: `apply` towards our variable, `revert` back."""

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


# Convolution [out, in, y, x] to [y, x, in, out]; transposed convolution [in, out, y, x] to
# [y, x, out, in]: the same permutation.
CONV = Step(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
# Fully connected [out, in] to [in, out].
LINEAR = Step(np.transpose, np.transpose)
# Rows of a fully connected [C * y * x, out] to [y * x * C, out].
FLAT_ROI = Step(_flat_channels_last, _flat_channels_first)
# Last axis dx, dy, dw, dh (of every anchor) to dy, dx, dh, dw.
YX_DELTAS = Step(_swap_xy, _swap_xy)
# Last axis with the background last to background first.
BACKGROUND_FIRST = Step(lambda x: np.roll(x, 1, -1), lambda x: np.roll(x, -1, -1))
# 1x1 convolution [classes, filters, 1, 1] to [classes, filters].
POINTWISE = Step(lambda x: x.reshape(x.shape[:2]), lambda x: x[..., np.newaxis, np.newaxis])


def apply(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
  """The published array in the layout of the variable.

  Args:
    steps: of the row of the name map, the first to be applied first.
    values: an array of the published layout; the constants above say which axes each step takes.

  Raises:
    ValueError: the array's rank or size does not suit a step.
  """
  for step in steps:
    values = step.apply(values)
  return values


def revert(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
  """The variable's value, `values`, in the published layout; the inverse of `apply`."""
  for step in reversed(steps):
    values = step.revert(values)
  return values
