"""The map of the semantic branch in the pixels of the image."""

from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
  """Where the cells of semantic logits lie in an image.

  Attributes:
    image_hw: height and width of the image in original pixels.
    resized_hw: height and width of the resized image in the network input, without padding.
    scale: factors of the height and the width from the image to the resized image.
    stride: pixels of the network input between neighboring cells.
  """

  image_hw: tuple[int, int]
  resized_hw: tuple[int, int]
  scale: tuple[float, float]
  stride: int


def most_probable(logits: np.ndarray, frame: Frame) -> np.ndarray:
  """The most probable class at each pixel of an image.

  Logits are interpolated bilinearly. The loss compares cell i with pixel `i * stride` of the
  network input (`losses.semantic_loss`), so that this pixel is where the cell lies. Cells in the
  padding learn nothing and are not read.

  Args:
    logits: [height, width, num_classes] float32 of the network input, padding included.
    frame: where the cells lie.

  Returns:
    [image height, image width] int32.
  """
  (rows, columns) = (
    _neighbors(*sides, frame.stride) for sides in zip(frame.image_hw, frame.resized_hw, frame.scale)
  )
  best = np.full(frame.image_hw, -np.inf, np.float32)
  labels = np.zeros(frame.image_hw, np.int32)
  for label in range(logits.shape[-1]):  # One class at a time, because images may be large.
    values = _between(_between(logits[..., label], *rows).T, *columns).T  # [height, width]
    labels[values > best] = label
    np.maximum(best, values, out=best)
  return labels


def _neighbors(
  length: int, resized: int, scale: float, stride: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """For each pixel of an axis, the cells before and after it, and the share of the latter."""
  pixels = (np.arange(length) + 0.5) * scale - 0.5  # In the network input.
  last = (resized - 1) // stride
  cells = np.clip(pixels / stride, 0, last)
  before = cells.astype(np.int32)
  return before, np.minimum(before + 1, last), (cells - before).astype(np.float32)


def _between(
  values: np.ndarray, before: np.ndarray, after: np.ndarray, share: np.ndarray
) -> np.ndarray:
  """Values [cells, ...] interpolated along their first axis."""
  share = share[:, np.newaxis]
  return values[before] * (1 - share) + values[after] * share
