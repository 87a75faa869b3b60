"""The annotations that the published trainings leave out.

Conversion applies this rule to the annotation file, because a record only has the part of a box
that is inside the image. This module does not import TensorFlow.
"""

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry

# Key of an annotation that is left out, and of an image that has only annotations without a usable
# box or mask, which records do not have.
LEFT_OUT, ANNOTATED = 'left_out', 'annotated'
# Shortest sides of a box and of an image, in pixels of the original image.
MIN_BOX_SIDE, MIN_IMAGE_SIDE = 1.0, 32


def is_left_out(entry: Entry, image: Entry) -> bool:
  """Whether mmdetection's COCO data set leaves out an annotation.

  It does so if `ignore` is set, if the box does not overlap the image, if the area is not positive,
  or if a side of the box is shorter than 1 pixel. Crowd regions stay.

  Args:
    entry: annotation as it is in the file. What it lacks is no reason to leave it out.
    image: image entry with integer `height` and `width`.
  """
  if json_values.flag(entry.get('ignore')):
    return True
  area = json_values.number(entry.get('area'))
  if area is not None and area <= 0:
    return True
  values = entry.get('bbox')
  if not isinstance(values, (list, tuple)) or len(values) != 4:
    return False
  left, top, width, height = map(json_values.number, values)
  if left is None or top is None or width is None or height is None:
    return False
  shown_width = min(left + width, image['width']) - max(left, 0)
  shown_height = min(top + height, image['height']) - max(top, 0)
  return min(width, height) < MIN_BOX_SIDE or min(shown_width, shown_height) <= 0
