"""How a large picture is cut into tiles for detection."""

import numbers
from typing import NamedTuple

from htc_tf.data import tiles
from htc_tf.data.pixel_box import Box
from htc_tf.errors import InputError

DEFAULT_OVERLAP = 128


class Tiling(NamedTuple):
  """Tiles of one size that cover an image.

  Attributes:
    size: side of a tile in pixels; an image that is not larger is not cut.
    overlap: pixels that neighboring tiles share at least. Objects that are smaller are seen whole
      by a tile.
  """

  size: int
  overlap: int = DEFAULT_OVERLAP

  def check(self) -> None:
    """Raise InputError unless such tiles cover an image."""
    if not all(isinstance(value, numbers.Integral) for value in self):
      raise InputError(
        'The tiles cannot be read',
        expected='whole numbers of pixels as tile_size and tile_overlap',
        got=f'{self.size!r} and {self.overlap!r}',
        likely_cause='a text, or a share of the image',
      )
    if self.size < 1:
      raise InputError('The tile size is out of range', expected='1 or more', got=str(self.size))
    if not 0 <= self.overlap < self.size:
      raise InputError(
        'The overlap of the tiles is out of range',
        expected=f'0 or more, and less than the tile size {self.size}',
        got=str(self.overlap),
        likely_cause='a tile size that is smaller than the default overlap'
        if self.overlap == DEFAULT_OVERLAP
        else 'exchanged options',
      )

  def cuts(self, image_hw: tuple[int, int]) -> bool:
    """Whether an image has more than one tile."""
    return max(image_hw) > self.size

  def places(self, image_hw: tuple[int, int]) -> list[Box]:
    """The tiles of an image, row by row; the last ones are moved inwards, so that all are equal.

    Args:
      image_hw: height and width of the image.
    """
    height, width = (min(self.size, side) for side in image_hw)
    return [
      Box(top, left, top + height, left + width)
      for top in tiles.starts(image_hw[0], self.size, self.overlap)
      for left in tiles.starts(image_hw[1], self.size, self.overlap)
    ]


def tiling_of(size: int | None, overlap: int | None) -> Tiling | None:
  """The tiles of the options of a command or function; None if images are not cut.

  Args:
    size: side of a tile in pixels; None for no tiles.
    overlap: pixels that neighboring tiles share; None for the default.

  Raises:
    InputError: a value is out of range, or there is an overlap without a size.
  """
  if size is None:
    if overlap is not None:
      raise InputError(
        'There is an overlap without tiles',
        expected='tile_size beside tile_overlap',
        got=f'only tile_overlap={overlap}',
      )
    return None
  tiling = Tiling(size, DEFAULT_OVERLAP if overlap is None else overlap)
  tiling.check()
  return tiling
