"""Sizes of images that an annotation file for evaluation does not give.

pycocotools needs them for polygons. The size of an image becomes known when it is predicted; until
then it is as large as its annotations reach.
"""

import collections
import math
from collections.abc import Callable
from typing import Any

from htc_tf.data import json_values
from htc_tf.data import segmentation as segmentations
from htc_tf.data.annotation_file import Entry

_MAX_SIDE = 40_000  # pycocotools counts pixels by integers of 32 bits.


def size_reader(annotations: list[Entry]) -> Callable[[Entry], tuple[int, int]]:
  """A function from an image entry to the height and width that its annotations tell.

  Run lengths have the size of their image; polygons only reach over a part of it.

  Args:
    annotations: annotations of the file.
  """
  of_image: dict[str, list[Entry]] = collections.defaultdict(list)
  for entry in annotations:
    of_image[_key(entry.get('image_id'))].append(entry)

  def read(image: Entry) -> tuple[int, int]:
    masks = [_mask(entry) for entry in of_image[_key(image.get('id'))]]
    told = [size for mask in masks if isinstance(mask, dict) and (size := _run_size(mask))]
    if told:
      return collections.Counter(told).most_common(1)[0][0]
    reached = [_reach(mask) for mask in masks if isinstance(mask, list)]
    return max((size[0] for size in reached), default=1), max(
      (size[1] for size in reached), default=1
    )

  return read


def _key(id_: Any) -> str:
  """The same text for all forms of an id."""
  number = json_values.integer(id_)
  return str(id_ if number is None else number)


def _mask(annotation: Entry) -> Any:
  return segmentations.normalize(annotation.get('segmentation'))[0]


def _run_size(runs: dict[str, Any]) -> tuple[int, int] | None:
  """The size of an image according to run lengths; None if they have no usable one."""
  size = runs.get('size')
  if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
    return None
  height, width = size
  return (height, width) if 0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE else None


def _reach(polygons: list[Any]) -> tuple[int, int]:
  """Height and width of the smallest image that holds the polygons."""
  cleaned, _ = segmentations.clean(polygons, 1, 1, keep_flat=True)
  if cleaned is None:
    return 1, 1
  x, y, width, height = segmentations.bounds(cleaned)
  return _side(y + height), _side(x + width)


def _side(value: float) -> int:
  return min(max(math.ceil(value), 1), _MAX_SIDE)
