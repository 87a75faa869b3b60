"""Changes of layout between published weights and our variables, each with its inverse.

A row of a name map lists the steps that convert the published array to the variable.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_PUBLISHED_CROP_SIZE = 7
_YX_ORDER = [1, 0, 3, 2]  # self-inverse


class Step(NamedTuple):
  """A lossless change of layout.

  Attributes:
    apply: function from the published layout to ours.
    revert: the inverse of `apply`.
    crop_size: side, in bins, of the RoI features whose flattening the step changes; None for steps
      that do not depend on it.
  """

  apply: Callable[[np.ndarray], np.ndarray]
  revert: Callable[[np.ndarray], np.ndarray]
  crop_size: int | None = None


def flat_roi(crop_size: int) -> Step:
  """The step of a fully connected weight of flattened RoIs.

  It converts [C * y * x, out], where the channels come first, to [y * x * C, out].

  Args:
    crop_size: side of the RoI features in bins.
  """

  def channels_last(weight: np.ndarray) -> np.ndarray:
    grid = weight.reshape(-1, crop_size, crop_size, weight.shape[-1])  # [C, y, x, out]
    return grid.transpose(1, 2, 0, 3).reshape(weight.shape)

  def channels_first(weight: np.ndarray) -> np.ndarray:
    grid = weight.reshape(crop_size, crop_size, -1, weight.shape[-1])  # [y, x, C, out]
    return grid.transpose(2, 0, 1, 3).reshape(weight.shape)

  return Step(channels_last, channels_first, crop_size)


def flat_map(size: int) -> Step:
  """The step of a layer whose outputs are a flattened map: the last axis, channels first to last.

  Args:
    size: height and width of the map.
  """

  def channels_last(values: np.ndarray) -> np.ndarray:
    grid = values.reshape(*values.shape[:-1], -1, size, size)  # [..., C, y, x]
    return np.moveaxis(grid, -3, -1).reshape(values.shape)

  def channels_first(values: np.ndarray) -> np.ndarray:
    grid = values.reshape(*values.shape[:-1], size, size, -1)  # [..., y, x, C]
    return np.moveaxis(grid, -1, -3).reshape(values.shape)

  return Step(channels_last, channels_first)


def _by_column(values: np.ndarray) -> np.ndarray:
  grid = values.reshape(*values.shape[:-1], -1, 2, 2)  # [..., C, y, x]
  return np.moveaxis(grid, -3, -1).swapaxes(-3, -2).reshape(values.shape)  # from [..., x, y, C]


def _by_channel(values: np.ndarray) -> np.ndarray:
  grid = values.reshape(*values.shape[:-1], 2, 2, -1)  # [..., x, y, C]
  return np.moveaxis(grid.swapaxes(-3, -2), -1, -3).reshape(values.shape)  # from [..., C, y, x]


def _swap_xy(values: np.ndarray) -> np.ndarray:
  groups = values.reshape(*values.shape[:-1], -1, 4)[..., _YX_ORDER]  # [..., anchors, 4]
  return groups.reshape(values.shape)


# Convolution [out, in, y, x] to [y, x, in, out], and, by the same permutation, transposed
# convolution [in, out, y, x] to [y, x, out, in].
CONV = Step(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
# Fully connected [out, in] to [in, out].
LINEAR = Step(np.transpose, np.transpose)
# `NameMap.with_crop_size` replaces this step for models with another crop size.
FLAT_ROI = flat_roi(_PUBLISHED_CROP_SIZE)
# Last axis from [C * y * x], as a fully connected layer makes a map, to [y * x * C].
FLAT_MAP = flat_map(_PUBLISHED_CROP_SIZE)
# Last axis, four neighbors merged into one, from [C * y * x] to [x * y * C], for y and x in 0..1.
MERGED = Step(_by_column, _by_channel)
# Last axis from dx, dy, dw, dh (per anchor) to dy, dx, dh, dw.
YX_DELTAS = Step(_swap_xy, _swap_xy)
# Last axis from background last to background first.
BACKGROUND_FIRST = Step(lambda x: np.roll(x, 1, -1), lambda x: np.roll(x, -1, -1))
# 1x1 convolution [classes, filters, 1, 1] to [classes, filters].
POINTWISE = Step(lambda x: x.reshape(x.shape[:2]), lambda x: x[..., np.newaxis, np.newaxis])
# A number per output channel of a convolution, [channels, 1, 1, 1] to [channels].
PER_CHANNEL = Step(lambda x: x.reshape(x.shape[:1]), lambda x: x[:, None, None, None])


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


def converted_shape(steps: Sequence[Step], shape: tuple[int, ...]) -> tuple[int, ...] | None:
  """The shape of a published array after the steps; None if its rank or size does not suit them."""
  # A broadcast array has one element in memory, so that most steps copy nothing.
  dummy = np.broadcast_to(np.zeros((), np.bool_), shape)
  try:
    return apply(steps, dummy).shape
  except ValueError:
    return None


def revert(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
  """The value of a variable in the published layout; the inverse of `apply`."""
  for step in reversed(steps):
    values = step.revert(values)
  return values
