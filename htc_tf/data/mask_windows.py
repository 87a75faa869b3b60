"""Masks of objects as bitmaps of their surroundings, so that large images need little memory."""

import math

import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.data import mask_codec, mask_runs
from htc_tf.data import segmentation as segmentations
from htc_tf.data.mask_runs import Window


def window_of(segmentation: segmentations.Segmentation, height: int, width: int) -> Window:
  """The mask of a cleaned segmentation; it may be empty.

  Args:
    segmentation: cleaned polygons or run lengths.
    height: height of the image.
    width: width of the image.
  """
  if isinstance(segmentation, dict):
    return mask_runs.to_window(mask_runs.of_rle(segmentations.to_rle(segmentation, height, width)))
  left_f, top_f, box_width, box_height = segmentations.bounds(segmentation)
  # Polygons are rounded to pixels: leave a pixel on each side.
  left, top = max(math.floor(left_f) - 1, 0), max(math.floor(top_f) - 1, 0)
  right = min(math.ceil(left_f + box_width) + 1, width)
  bottom = min(math.ceil(top_f + box_height) + 1, height)
  if right <= left or bottom <= top:
    return Window(0, 0, np.zeros([0, 0], bool))
  moved = [
    (np.reshape(polygon, [-1, 2]) - [left, top]).ravel().tolist() for polygon in segmentation
  ]
  size = (bottom - top, right - left)
  merged = coco_mask.merge(coco_mask.frPyObjects(moved, *size))
  return Window(top, left, mask_codec.decode(merged))


def part_of(window: Window, top: int, left: int, height: int, width: int) -> Window | None:
  """The part of a window inside a tile, relative to the tile; None if they do not overlap.

  Args:
    window: mask of an object.
    top: first row of the tile.
    left: first column of the tile.
    height: height of the tile.
    width: width of the tile.
  """
  rows, columns = window.bitmap.shape
  first_row, first_column = max(window.top, top), max(window.left, left)
  last_row = min(window.top + rows, top + height)
  last_column = min(window.left + columns, left + width)
  if last_row <= first_row or last_column <= first_column:
    return None
  part = window.bitmap[
    first_row - window.top : last_row - window.top,
    first_column - window.left : last_column - window.left,
  ]
  return Window(first_row - top, first_column - left, part)


def placed(window: Window, height: int, width: int) -> np.ndarray:
  """The mask in an image of a size, [height, width] bool."""
  mask = np.zeros([height, width], bool)
  rows, columns = window.bitmap.shape
  mask[window.top : window.top + rows, window.left : window.left + columns] = window.bitmap
  return mask


def box_of(window: Window) -> list[float]:
  """The box x, y, width, height around the pixels of a mask that is not empty."""
  rows = np.flatnonzero(window.bitmap.any(1))
  columns = np.flatnonzero(window.bitmap.any(0))
  top, left = window.top + int(rows[0]), window.left + int(columns[0])
  return [
    float(left),
    float(top),
    float(columns[-1] - columns[0] + 1),
    float(rows[-1] - rows[0] + 1),
  ]
