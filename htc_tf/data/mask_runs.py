"""Masks as vertical runs of pixels, so that their size does not depend on that of the image.

Everything is computed from the first and last rows of the runs; no mask is decoded.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from htc_tf.data import mask_codec
from htc_tf.data.pixel_box import Box

# COCO's run lengths have 32 bits, so that larger images have no masks that other programs read.
MAX_PIXELS = 2**32 - 1


class Window(NamedTuple):
  """A rectangle of an image with the mask of an object.

  Attributes:
    top: first row of the rectangle in the image.
    left: first column of the rectangle in the image.
    bitmap: [height, width] bool; the object has no pixel outside.
  """

  top: int
  left: int
  bitmap: np.ndarray


class Runs(NamedTuple):
  """A mask as runs in columns, in ascending order; the runs of a column do not touch.

  Attributes:
    columns: [num] int64 column of each run.
    tops: [num] int64 first row.
    bottoms: [num] int64 row behind the last one.
  """

  columns: np.ndarray
  tops: np.ndarray
  bottoms: np.ndarray

  @property
  def area(self) -> int:
    """Number of pixels."""
    return int((self.bottoms - self.tops).sum())

  @property
  def box(self) -> Box:
    """The smallest rectangle with all pixels; an empty one at 0 if there are none."""
    if not len(self.columns):
      return Box(0, 0, 0, 0)
    return Box(
      int(self.tops.min()),
      int(self.columns[0]),
      int(self.bottoms.max()),
      int(self.columns[-1]) + 1,
    )

  def moved(self, rows: int, columns: int) -> 'Runs':
    """The mask moved down and to the right."""
    return Runs(self.columns + columns, self.tops + rows, self.bottoms + rows)

  def inside(self, box: Box) -> 'Runs':
    """The pixels inside a rectangle."""
    first, last = np.searchsorted(self.columns, [box.left, max(box.left, box.right)])
    part = np.s_[first:last]
    tops = np.maximum(self.tops[part], box.top)
    bottoms = np.minimum(self.bottoms[part], box.bottom)
    kept = bottoms > tops
    return Runs(self.columns[part][kept], tops[kept], bottoms[kept])


def of_rle(rle: dict[str, Any]) -> Runs:
  """The runs of a compressed encoding `{'size': [height, width], 'counts': str}`."""
  height = rle['size'][0]
  limits = np.cumsum(np.array(mask_codec.run_lengths(rle['counts']), np.int64))
  ends = limits[1::2]
  starts = limits[: 2 * len(ends) : 2]
  starts, ends = starts[ends > starts], ends[ends > starts]
  firsts, lasts = starts // height, (ends - 1) // height
  counts = lasts - firsts + 1
  run = np.repeat(np.arange(len(starts)), counts)
  within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
  columns = firsts[run] + within
  tops = np.maximum(starts[run] - columns * height, 0)
  bottoms = np.minimum(ends[run] - columns * height, height)
  return Runs(columns, tops, bottoms)


def to_rle(runs: Runs, height: int, width: int) -> dict[str, Any]:
  """The compressed encoding of a mask in an image of a size, which must hold its pixels."""
  starts, ends = runs.columns * height + runs.tops, runs.columns * height + runs.bottoms
  is_new = np.ones(len(starts), bool)  # A run to the last row goes on in the next column.
  is_new[1:] = starts[1:] > ends[:-1]
  is_last = np.append(is_new[1:], True)[: len(starts)]
  return mask_codec.encode_runs(starts[is_new], ends[is_last], (height, width))


def of_box(box: Box) -> Runs:
  """The mask of all pixels of a rectangle."""
  columns = np.arange(box.left, box.right if box.bottom > box.top else box.left, dtype=np.int64)
  return Runs(columns, np.full_like(columns, box.top), np.full_like(columns, box.bottom))


def shared_area(first: Runs, second: Runs) -> int:
  """Number of pixels that two masks have in common."""
  (starts, ends), (other_starts, other_ends) = _on_a_line(first, second)
  if not len(starts) or not len(other_starts):
    return 0
  covered = np.concatenate([[0], np.cumsum(other_ends - other_starts)])

  def covered_before(positions: np.ndarray) -> np.ndarray:
    index = np.searchsorted(other_starts, positions, side='right')
    last = np.maximum(index - 1, 0)
    inside = np.minimum(positions, other_ends[last]) - other_starts[last]
    return np.where(index > 0, covered[last] + inside, 0)

  return int((covered_before(ends) - covered_before(starts)).sum())


def united(masks: Sequence[Runs]) -> Runs:
  """The pixels of one or more masks together."""
  if len(masks) == 1:
    return masks[0]
  length = _length(masks)
  starts = np.concatenate([mask.columns * length + mask.tops for mask in masks])
  ends = np.concatenate([mask.columns * length + mask.bottoms for mask in masks])
  order = np.argsort(starts, kind='stable')
  starts, ends = starts[order], np.maximum.accumulate(ends[order])
  is_new = np.ones(len(starts), bool)
  is_new[1:] = starts[1:] > ends[:-1]
  is_last = np.append(is_new[1:], True)[: len(starts)]
  starts, ends = starts[is_new], ends[is_last]
  columns = starts // length
  return Runs(columns, starts - columns * length, ends - columns * length)


def to_window(runs: Runs) -> Window:
  """The mask as a bitmap of the rectangle around its pixels."""
  box = runs.box
  if not len(runs.columns):
    return Window(0, 0, np.zeros([0, 0], bool))
  starts = (runs.columns - box.left) * box.height + runs.tops - box.top
  limits = np.stack([starts, starts + runs.bottoms - runs.tops], 1).ravel()
  counts = np.diff(limits, prepend=0, append=box.height * box.width)
  values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
  return Window(box.top, box.left, values.reshape(box.width, box.height).T)


def reduced(runs: Runs, factor: int) -> Runs:
  """The mask in an image whose sides are smaller by a factor.

  A pixel belongs to it if the pixel in the middle of its square in the image does.

  Args:
    runs: the mask.
    factor: side of the square of pixels that become one.
  """
  middle = factor // 2
  seen = runs.columns % factor == middle
  tops = -((middle - runs.tops[seen]) // factor)
  bottoms = -((middle - runs.bottoms[seen]) // factor)
  kept = bottoms > tops
  columns = runs.columns[seen][kept] // factor
  return united([Runs(columns, tops[kept], bottoms[kept]), Runs(*[columns[:0]] * 3)])


def _length(masks: Sequence[Runs]) -> int:
  """A length of columns with which no run touches one of the next column."""
  return 1 + max((int(mask.bottoms.max(initial=0)) for mask in masks), default=0)


def _on_a_line(*masks: Runs) -> list[tuple[np.ndarray, np.ndarray]]:
  """Starts and ends of the runs of each mask, with the columns one behind the other."""
  length = _length(masks)
  return [
    (mask.columns * length + mask.tops, mask.columns * length + mask.bottoms) for mask in masks
  ]
