"""COCO segmentations: checks of polygons and run lengths, and conversion to bitmaps.

pycocotools reads uninitialized memory if run lengths end early, and takes a polygon of four numbers
for a box. Segmentations are therefore checked before pycocotools reads them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.data import json_values, mask_codec
from htc_tf.errors import DataError

Segmentation = list[list[float]] | dict[str, Any]

# pycocotools visits five points per pixel of an edge and keeps them in memory.
_MAX_POLYGON_LENGTH = 1_000_000
_MAX_COORDINATE = 100_000_000  # Its integers of 32 bits count fifths of a pixel.


def normalize(segmentation: Any) -> tuple[Any, list[str]]:
  """A segmentation in the form of COCO, and the checks that name other forms of the file.

  Other forms are: one flat list of numbers, [x, y] pairs, a list too many around polygons or run
  lengths, numbers as text, and run lengths as floats. What has none of these forms is returned
  unchanged.

  Args:
    segmentation: value of the annotation file.
  """
  checks: dict[str, None] = {}  # In the order in which they are found.
  segmentation = _unwrapped(segmentation, checks)
  if isinstance(segmentation, dict):
    return _normalize_runs(segmentation, checks), list(checks)
  if not isinstance(segmentation, list) or not segmentation:
    return segmentation, list(checks)
  polygons: list[Any] = segmentation
  if not _has_lists(segmentation):
    checks['segmentation_flat'] = None
    polygons = [segmentation]
  elif _has_points(segmentation):
    polygons = [segmentation]
  return [_normalize_polygon(polygon, checks) for polygon in polygons], list(checks)


def _unwrapped(segmentation: Any, checks: dict[str, None]) -> Any:
  """The content of lists that hold nothing but run lengths, or nothing but a list of polygons."""
  while isinstance(segmentation, list) and len(segmentation) == 1:
    (content,) = segmentation
    if not isinstance(content, dict) and (not _has_lists(content) or _has_points(content)):
      break
    checks['segmentation_wrapped'] = None
    segmentation = content
  return segmentation


def _has_lists(value: Any) -> bool:
  return isinstance(value, list) and any(isinstance(part, (list, dict)) for part in value)


def _normalize_runs(runs: dict[str, Any], checks: dict[str, None]) -> dict[str, Any]:
  read = dict(runs)
  for key in ('size', 'counts'):
    if isinstance(read.get(key), list):
      read[key] = _each(read[key], json_values.integer, checks)
  return read


def _normalize_polygon(polygon: Any, checks: dict[str, None]) -> Any:
  """The polygon as a flat list of numbers; unchanged if it cannot be read."""
  polygon = _unwrapped(polygon, checks)
  while isinstance(polygon, list) and len(polygon) == 1 and isinstance(polygon[0], list):
    checks['segmentation_wrapped'] = None
    (polygon,) = polygon
  if _has_points(polygon):
    checks['segmentation_pairs'] = None
    polygon = [value for point in polygon for value in point]
  return _each(polygon, json_values.number, checks) if isinstance(polygon, list) else polygon


def _each(values: list[Any], read: Callable[[Any], Any], checks: dict[str, None]) -> list[Any]:
  """The numbers that values stand for; the values themselves if one of them stands for none."""
  forms: dict[type, str] = {str: 'number_as_text'}
  if read is json_values.integer:
    forms[float] = 'integer_as_float'
  found = {type(value) for value in values} & forms.keys()
  numbers = [read(value) for value in values] if found else values
  if None in numbers:
    return values
  checks.update({forms[form]: None for form in found})
  return numbers


def _has_points(polygon: Any) -> bool:
  """Whether a value is a list of at least three points [x, y]."""
  return (
    isinstance(polygon, list)
    and len(polygon) > 2
    and all(
      isinstance(point, list) and len(point) == 2 and not isinstance(point[0], list)
      for point in polygon
    )
  )


def bounds(segmentation: Segmentation) -> list[float]:
  """The box (x, y, width, height) around a cleaned segmentation."""
  if isinstance(segmentation, dict):
    height, width = segmentation['size']
    return coco_mask.toBbox(to_rle(segmentation, height, width)).tolist()
  points = np.concatenate([np.asarray(polygon, np.float64) for polygon in segmentation])
  (left, top), (right, bottom) = points.reshape(-1, 2).min(0), points.reshape(-1, 2).max(0)
  return [float(left), float(top), float(right - left), float(bottom - top)]


def reaches_outside(segmentation: Segmentation, height: int, width: int) -> bool:
  """Whether a polygon of a cleaned segmentation has a point outside the image."""
  if isinstance(segmentation, dict):
    return False
  left, top, box_width, box_height = bounds(segmentation)
  return min(left, top) < 0 or left + box_width > width or top + box_height > height


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
