"""Boxes (x, y, width, height) of annotations: their part inside the image, and their masks."""

from typing import Any

Box = list[float]

# A box of the mask has about the same sides as the box of an annotation; rounding moves both.
_MIN_IOU = 0.5
_MIN_OTHER_FORM_IOU = 0.8


def within(box: Box, image: dict[str, Any]) -> Box | None:
  """The part of a box inside an image, or None if it has no area.

  Args:
    box: x, y, width and height.
    image: image entry with `height` and `width`.
  """
  x, y, width, height = box
  left, top = max(x, 0), max(y, 0)
  right, bottom = min(x + width, image['width']), min(y + height, image['height'])
  if right <= left or bottom <= top:
    return None
  if left == x and top == y and right == x + width and bottom == y + height:
    return box
  return [left, top, right - left, bottom - top]


def misfit(box: Box, mask_box: Box, image: dict[str, Any]) -> str | None:
  """The check that counts a box that does not fit its mask, by the likely cause; else None.

  Args:
    box: box of an annotation.
    mask_box: box around the mask inside the image.
    image: image entry with `height` and `width`.
  """
  iou = _iou(box, mask_box, image)
  if iou >= _MIN_OTHER_FORM_IOU:
    return None
  x, y, third, fourth = box
  if _iou([x, y, third - x, fourth - y], mask_box, image) >= _MIN_OTHER_FORM_IOU:
    return 'box_is_xyxy'
  sides = ('width', 'height', 'width', 'height')
  scaled = [value * image[side] for value, side in zip(box, sides)]
  if max(box) <= 1 and _iou(scaled, mask_box, image) >= _MIN_OTHER_FORM_IOU:
    return 'box_is_relative'
  return None if iou >= _MIN_IOU else 'box_unlike_mask'


def _iou(box: Box, mask_box: Box, image: dict[str, Any]) -> float:
  """Intersection over union of the part of a box inside the image and of the box of a mask."""
  inside = within(box, image) if min(box[2:]) > 0 else None
  if inside is None:
    return 0.0
  sides = [
    max(0.0, min(a + c, b + d) - max(a, b))
    for a, b, c, d in zip(inside[:2], mask_box[:2], inside[2:], mask_box[2:])
  ]
  intersection = sides[0] * sides[1]
  return intersection / (inside[2] * inside[3] + mask_box[2] * mask_box[3] - intersection)
