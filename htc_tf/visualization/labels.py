"""Text on pictures: a legible size, and places where labels do not hide one another."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from htc_tf.visualization import palette

_PADDING = 2
_LEAST_FONT_SIZE = 11


class Label(NamedTuple):
  """What to write at a box.

  Attributes:
    box: (y_min, x_min, y_max, x_max) in pixels of the picture.
    texts: what to write, the wanted text first, then shorter ones for where there is no room.
    color: of the ground the text stands on.
  """

  box: tuple[float, float, float, float]
  texts: Sequence[str]
  color: palette.Color


def font_size(image_hw: tuple[int, int], boxes: Sequence[tuple[float, ...]] = ()) -> int:
  """Returns a text height in pixels that is legible on a picture and in proportion to its boxes.

  Args:
    image_hw: height and width of the picture.
    boxes: (y_min, x_min, y_max, x_max) each; on many small boxes large labels would hide them.
  """
  size = min(image_hw) / 36
  if len(boxes):
    heights = [box[2] - box[0] for box in boxes]
    size = min(size, float(np.median(heights)) / 3)
  return int(np.clip(round(size), _LEAST_FONT_SIZE, 28))


@functools.cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
  """Returns the font that Pillow brings along, so that no font needs to be installed."""
  return ImageFont.load_default(size)


def draw_labels(image: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
  """Writes labels beside their boxes, the first ones first.

  A label goes above its box, below it or into it, wherever it stays within the picture and covers
  no label written before; where a text finds no place the next shorter one is tried, and where none
  does the instance stays without a label.

  Args:
    image: [height, width, 3] uint8 RGB; not modified.
    labels: in order of importance.

  Returns:
    A copy of `image` with the labels.
  """
  picture = Image.fromarray(image)
  canvas = ImageDraw.Draw(picture)
  font = load_font(font_size(image.shape[:2], [label.box for label in labels]))
  taken: list[tuple[int, int, int, int]] = []
  for label in labels:
    for text in label.texts:
      place = _find_place(label.box, _extent(text, font), image.shape[:2], taken)
      if place is not None:
        taken.append(place)
        _write(canvas, place, text, font, label.color)
        break
  return np.array(picture)


def _extent(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
  """Returns height and width of a label, padding included; equally high for every text."""
  ascent, descent = font.getmetrics()
  return ascent + descent + _PADDING, int(np.ceil(font.getlength(text))) + 2 * _PADDING


def _find_place(
  box: tuple[float, float, float, float],
  extent: tuple[int, int],
  image_hw: tuple[int, int],
  taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int] | None:
  """Returns the first free place at a box as (top, left, bottom, right), or None."""
  y_min, x_min, y_max, x_max = (round(value) for value in box)
  height, width = extent
  left = min(max(x_min, 0), image_hw[1] - width)
  right = min(max(x_max - width, 0), image_hw[1] - width)
  for top, start in (
    (y_min - height, left),
    (y_max + 1, left),
    (y_min - height, right),
    (y_max + 1, right),
    (y_min, left),
  ):
    place = (top, start, top + height, start + width)
    within = top >= 0 and start >= 0 and place[2] <= image_hw[0]
    if within and not any(_overlap(place, other) for other in taken):
      return place
  return None


def _overlap(place: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
  """Tells whether two rectangles share a pixel."""
  return place[0] < other[2] and other[0] < place[2] and place[1] < other[3] and other[1] < place[3]


def _write(
  canvas: ImageDraw.ImageDraw,
  place: tuple[int, int, int, int],
  text: str,
  font: ImageFont.FreeTypeFont,
  color: palette.Color,
):
  """Writes one text on a ground of its colour."""
  top, left, bottom, right = place
  canvas.rectangle((left, top, right - 1, bottom - 1), fill=color)
  canvas.text((left + _PADDING, top), text, fill=palette.text_color(color), font=font)
