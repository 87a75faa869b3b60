"""COCO segmentations: checks of polygons and run lengths, and conversion to bitmaps.

pycocotools reads uninitialized memory if run lengths end early, and takes a polygon of four numbers
for a box. Segmentations are therefore checked before pycocotools reads them.
"""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.data import json_values, mask_codec
from htc_tf.errors import DataError

Segmentation = list[list[float]] | dict[str, Any]

# pycocotools visits five points per pixel of an edge and keeps them in memory.
_MAX_POLYGON_LENGTH = 1_000_000
_MAX_COORDINATE = 100_000_000  # Its integers of 32 bits count fifths of a pixel.


def normalize(segmentation: Any) -> tuple[Any, bool]:
  """A segmentation in the form of COCO, and whether the file has another form of it.

  Other forms are: one flat list of numbers, a list of [x, y] pairs, a list of such lists, numbers
  as text, run lengths in a list, and a size of run lengths as text or floats. What has none of
  these forms is returned unchanged.

  Args:
    segmentation: value of the annotation file.
  """
  if isinstance(segmentation, dict):
    size = segmentation.get('size')
    if isinstance(size, list) and size != (sides := [json_values.integer(x) for x in size]):
      return {**segmentation, 'size': sides}, True
    return segmentation, False
  if not isinstance(segmentation, list) or not segmentation:
    return segmentation, False
  if len(segmentation) == 1 and isinstance(segmentation[0], dict):
    return normalize(segmentation[0])[0], True
  if not any(isinstance(part, (list, dict)) for part in segmentation):
    polygons: list[Any] = [segmentation]
  elif len(segmentation) > 2 and all(_is_point(part) for part in segmentation):
    polygons = [[value for point in segmentation for value in point]]
  else:
    polygons = [_flat_polygon(part) for part in segmentation]
  polygons = [_with_numbers(polygon) for polygon in polygons]
  return polygons, polygons != segmentation


def _is_point(value: Any) -> bool:
  return isinstance(value, list) and len(value) == 2 and not isinstance(value[0], list)


def _flat_polygon(polygon: Any) -> Any:
  if isinstance(polygon, list) and len(polygon) > 2 and all(map(_is_point, polygon)):
    return [value for point in polygon for value in point]
  return polygon


def _with_numbers(polygon: Any) -> Any:
  """The polygon with numbers for texts of numbers; unchanged if a value stands for no number."""
  if not isinstance(polygon, list) or not any(isinstance(value, str) for value in polygon):
    return polygon
  values = [json_values.number(value) for value in polygon]
  return polygon if None in values else values


def bounds(segmentation: Segmentation) -> list[float]:
  """The box (x, y, width, height) around a cleaned segmentation."""
  if isinstance(segmentation, dict):
    height, width = segmentation['size']
    return coco_mask.toBbox(to_rle(segmentation, height, width)).tolist()
  points = np.concatenate([np.asarray(polygon, np.float64) for polygon in segmentation])
  (left, top), (right, bottom) = points.reshape(-1, 2).min(0), points.reshape(-1, 2).max(0)
  return [float(left), float(top), float(right - left), float(bottom - top)]


def clean(
  segmentation: Any, height: int, width: int, keep_flat: bool = False
) -> tuple[Segmentation | None, str | None]:
  """The usable part of a segmentation.

  Args:
    segmentation: list of polygons, or dictionary of run lengths, compressed or not.
    height: height of the image.
    width: width of the image.
    keep_flat: whether polygons without area stay, as pycocotools keeps them in an evaluation.

  Returns:
    The segmentation without degenerate polygons, or None if nothing usable remains; and the name of
    the check that found a fault, or None.
  """
  if isinstance(segmentation, dict):
    return (segmentation, None) if _is_valid_rle(segmentation, height, width) else (None, 'bad_rle')
  if not isinstance(segmentation, list):
    return None, 'empty_segmentation'
  polygons = [polygon for polygon in segmentation if _is_valid_polygon(polygon, keep_flat)]
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


def _is_valid_polygon(polygon: Any, may_be_flat: bool) -> bool:
  """Whether a polygon has points, an area, and edges of a length that pycocotools can visit."""
  if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
    return False
  if not all(json_values.is_finite_number(value) for value in polygon):
    return False
  x, y = np.asarray(polygon, np.float64).reshape(-1, 2).T  # [points] each
  length = np.abs(x - np.roll(x, -1)).sum() + np.abs(y - np.roll(y, -1)).sum()
  if length > _MAX_POLYGON_LENGTH or max(np.abs(x).max(), np.abs(y).max()) > _MAX_COORDINATE:
    return False
  return may_be_flat or abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) > 0
