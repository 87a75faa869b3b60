"""The images and annotations that the published trainings leave out.

Conversion applies this rule to the annotation file, because a record only has the part of a box
that is inside the image. This module does not import TensorFlow.
"""

from collections.abc import Sequence

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry

# Key of an annotation that is left out, and of an image that has only annotations without a usable
# box or mask, which records do not have.
LEFT_OUT, ANNOTATED = 'left_out', 'annotated'
# Shortest sides of a box and of an image, in pixels of the original image.
MIN_BOX_SIDE, MIN_IMAGE_SIDE = 1.0, 32


class Rule:
  """mmdetection's rule for the annotations of one file that a training leaves out.

  If no area of the file is positive, the program that wrote it knows no areas, and conversion fills
  them in; they are then no reason to leave anything out. The same holds for the sides of boxes.

  Args:
    entries: all annotations of the file, as they are in it.
  """

  def __init__(self, entries: Sequence[Entry]):
    areas, boxes = map(_area, entries), map(_box, entries)
    self._has_areas = any(area is not None and area > 0 for area in areas)
    self._has_boxes = any(box is not None and min(box[2:]) > 0 for box in boxes)

  def leaves_out(self, entry: Entry, image: Entry) -> bool:
    """Whether a training leaves out an annotation.

    It does so if `ignore` is set, if the area is not positive, if a side of the box is shorter than
    1 pixel, or if the box does not overlap the image. Crowd regions stay.

    Args:
      entry: annotation as it is in the file. What it lacks is no reason to leave it out.
      image: image entry with integer `height` and `width`.
    """
    area, box = _area(entry), _box(entry)
    if json_values.flag(entry.get('ignore')):
      return True
    if self._has_areas and area is not None and area <= 0:
      return True
    if not self._has_boxes or box is None:
      return False
    left, top, width, height = box
    shown_width = min(left + width, image['width']) - max(left, 0)
    shown_height = min(top + height, image['height']) - max(top, 0)
    return min(width, height) < MIN_BOX_SIDE or min(shown_width, shown_height) <= 0


def keeps_image(is_annotated: bool, height: int, width: int) -> bool:
  """Whether a training keeps an image, by whether it has annotations and by its size in pixels."""
  return is_annotated and min(height, width) >= MIN_IMAGE_SIDE


def _area(entry: Entry) -> float | None:
  return json_values.number(entry.get('area'))


def _box(entry: Entry) -> tuple[float, float, float, float] | None:
  """Left, top, width and height; None if these are not four numbers."""
  values = entry.get('bbox')
  if not isinstance(values, (list, tuple)) or len(values) != 4:
    return None
  left, top, width, height = map(json_values.number, values)
  if left is None or top is None or width is None or height is None:
    return None
  return left, top, width, height
