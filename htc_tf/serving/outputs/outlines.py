"""Outlines of masks as polygons."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.data.mask_runs import Window

# Largest distance of a left-out corner from the polygon, in pixels: more than that of the corners
# of a diagonal staircase, sqrt(1 / 2).
_TOLERANCE = 0.75
_MAX_CHANGE = 0.05  # Largest number of pixels that differ, as a share of the area.


class Outlines(NamedTuple):
  """Outlines of the parts of a mask, largest first.

  Attributes:
    polygons: [num_corners, 2] float x, y along the edges of pixels, for each part.
    num_holes: number of holes, which polygons fill.
  """

  polygons: list[np.ndarray]
  num_holes: int

  def as_lists(self) -> list[list[float]]:
    """The polygons as x, y, x, y, ... lists, the form of COCO."""
    return [[round(float(value), 2) for value in polygon.ravel()] for polygon in self.polygons]


def outlines_in(window: Window) -> Outlines:
  """The outlines of a mask, in pixels of the image; an empty mask has none."""
  found = outlines_of(window.bitmap)
  corner = [window.left, window.top]
  return Outlines([polygon + corner for polygon in found.polygons], found.num_holes)


def outlines_of(mask: np.ndarray) -> Outlines:
  """The outlines of a mask; an empty mask has none.

  A pixel at row r and column c covers the square from (c, r) to (c + 1, r + 1), as in COCO. Parts
  that touch at a corner are one part.

  Args:
    mask: [height, width] bool.
  """
  rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
  if not len(rows):
    return Outlines([], 0)
  top, left = rows[0], columns[0]
  mask = mask[top : rows[-1] + 1, left : columns[-1] + 1]  # The rest of a large image costs time.
  # OpenCV's outlines run through the centers of pixels. At twice the size, these are the edges of
  # the original pixels once the odd coordinates are rounded up.
  doubled = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
  found, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
  polygons, num_holes = [], 0
  for contour, (_, _, _, parent) in zip(found, hierarchy[0]):
    if parent >= 0:
      num_holes += 1
      continue
    polygons.append(_simplified(((contour[:, 0] + 1) // 2 + [left, top]).astype(np.float32)))
  return Outlines(_largest_first(polygons), num_holes)


def _simplified(edges: np.ndarray) -> np.ndarray:
  """A polygon with fewer corners, or the same one if too many pixels would differ."""
  simple = cv2.approxPolyDP(edges[:, np.newaxis], _TOLERANCE, closed=True)[:, 0]
  return (simple if _cover_alike(edges, simple) else edges).astype(np.float64)


def _cover_alike(edges: np.ndarray, simple: np.ndarray) -> bool:
  """Whether two polygons cover about the same pixels, drawn by the rule of COCO."""
  origin = edges.min(axis=0)
  width, height = (edges.max(axis=0) - origin).astype(int) + 1
  polygons = [(polygon - origin).ravel().tolist() for polygon in (edges, simple)]
  masks = coco_mask.frPyObjects(polygons, height, width)
  both, either = (
    int(coco_mask.area(coco_mask.merge(masks, intersect=intersect))) for intersect in (True, False)
  )
  return either - both <= _MAX_CHANGE * int(coco_mask.area(masks[0]))


def _largest_first(polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
  return sorted(polygons, key=lambda polygon: -cv2.contourArea(polygon.astype(np.float32)))
