"""COCO segmentations: checks of polygons and run lengths, and conversion to bitmaps.

pycocotools reads uninitialized memory if run lengths end early, and takes a polygon of four numbers
for a box. Segmentations are therefore checked before pycocotools reads them.
"""

import math
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.data import mask_codec
from htc_tf.errors import DataError

Segmentation = list[list[float]] | dict[str, Any]


def clean(segmentation: Any, height: int, width: int) -> tuple[Segmentation | None, str | None]:
  """The usable part of a segmentation.

  Args:
    segmentation: list of polygons, or dictionary of run lengths, compressed or not.
    height: height of the image.
    width: width of the image.

  Returns:
    The segmentation without degenerate polygons, or None if nothing usable remains; and the name of
    the check that found a fault, or None.
  """
  if isinstance(segmentation, dict):
    return (segmentation, None) if _is_valid_rle(segmentation, height, width) else (None, 'bad_rle')
  if not isinstance(segmentation, list):
    return None, 'empty_segmentation'
  polygons = [polygon for polygon in segmentation if _is_valid_polygon(polygon, max(height, width))]
  if not polygons:
    return None, 'empty_segmentation'
  return polygons, None if len(polygons) == len(segmentation) else 'polygon_removed'


def to_rle(segmentation: Segmentation, height: int, width: int) -> dict[str, Any]:
  """The compressed run lengths of a cleaned segmentation; for polygons, those of their union."""
  if isinstance(segmentation, list):
    return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
  if isinstance(segmentation['counts'], list):
    return coco_mask.frPyObjects(segmentation, height, width)
  return segmentation


def to_bitmap(segmentation: Segmentation, height: int, width: int) -> np.ndarray:
  """The bitmap of a cleaned segmentation, [height, width] uint8 of 0 and 1."""
  return mask_codec.decode(to_rle(segmentation, height, width)).astype(np.uint8)


def area(segmentation: Segmentation, height: int, width: int) -> float:
  """Number of pixels of a cleaned segmentation."""
  return float(coco_mask.area(to_rle(segmentation, height, width)))


def _is_valid_rle(segmentation: dict[str, Any], height: int, width: int) -> bool:
  counts = segmentation.get('counts')
  if segmentation.get('size') != [height, width] or not isinstance(counts, (str, list)):
    return False
  try:
    runs = counts if isinstance(counts, list) else mask_codec.run_lengths(counts)
  except DataError:
    return False
  return all(type(run) is int and run >= 0 for run in runs) and sum(runs) == height * width


def _is_valid_polygon(polygon: Any, image_side: int) -> bool:
  """Whether a polygon has an area and lies near its image.

  A polygon far outside would take pycocotools very long, because it visits every pixel of an edge.
  """
  if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
    return False
  if not all(is_finite_number(value) for value in polygon):
    return False
  if min(polygon) < -image_side or max(polygon) > 2 * image_side:
    return False
  x, y = np.asarray(polygon, np.float64).reshape(-1, 2).T  # [points] each
  return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) > 0


def is_finite_number(value: Any) -> bool:
  """Whether a JSON value is a number other than NaN and infinity; booleans are not numbers."""
  return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
