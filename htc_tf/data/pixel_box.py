"""Rectangles of whole pixels."""

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
  """A rectangle of whole pixels.

  Attributes:
    top: first row.
    left: first column.
    bottom: row behind the last one.
    right: column behind the last one.
  """

  top: int
  left: int
  bottom: int
  right: int

  @property
  def height(self) -> int:
    """Number of rows."""
    return self.bottom - self.top

  @property
  def width(self) -> int:
    """Number of columns."""
    return self.right - self.left

  @property
  def is_empty(self) -> bool:
    """Whether it has no pixel."""
    return self.bottom <= self.top or self.right <= self.left

  def intersection(self, other: 'Box') -> 'Box':
    """The pixels of both; it may be empty."""
    return Box(
      max(self.top, other.top),
      max(self.left, other.left),
      min(self.bottom, other.bottom),
      min(self.right, other.right),
    )

  def crop(self, array: np.ndarray) -> np.ndarray:
    """The part of an array [height, width, ...] inside it."""
    return array[self.top : self.bottom, self.left : self.right]

  def moved(self, rows: int, columns: int) -> 'Box':
    """The rectangle moved down and to the right."""
    return Box(self.top + rows, self.left + columns, self.bottom + rows, self.right + columns)
