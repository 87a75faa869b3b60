"""Labels on images: a legible size, and places where they do not cover each other."""

import bisect
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from htc_tf.visualization import fonts, palette

_PADDING = 2
_MIN_FONT_SIZE = 11

# (y_min, x_min, y_max, x_max) in pixels of the image.
Box: TypeAlias = tuple[float, ...]
# (top, left, bottom, right) of a label, in pixels of the image.
_Place: TypeAlias = tuple[int, int, int, int]


class Label(NamedTuple):
  """Label of a box.

  Attributes:
    box: (y_min, x_min, y_max, x_max) in pixels of the image.
    texts: the preferred text, then shorter ones that replace it if there is no room.
    color: color of the background of the text.
  """

  box: Box
  texts: Sequence[str]
  color: palette.Color


def font_size(image_hw: tuple[int, int], boxes: Sequence[Box] = ()) -> int:
  """A text height in pixels that is legible on an image and in proportion to its boxes.

  Args:
    image_hw: height and width of the image.
    boxes: boxes that get labels; large labels would hide small boxes.
  """
  size = min(image_hw) / 36
  if len(boxes):
    heights = [box[2] - box[0] for box in boxes]
    size = min(size, float(np.median(heights)) / 3)
  return int(np.clip(round(size), _MIN_FONT_SIZE, 28))


def single_line(text: str) -> str:
  """A text without line ends and other characters that fonts do not have."""
  visible = ''.join(character if character.isprintable() else ' ' for character in text)
  return ' '.join(visible.split())


def shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
  """A text, cut with an ellipsis until it is not wider than `width` pixels."""
  if font.getlength(text) <= width:
    return text
  # A bisection: each measurement of a long text takes milliseconds.
  length = bisect.bisect_left(
    range(1, len(text)), True, key=lambda number: font.getlength(text[:number] + '…') > width
  )
  return text[:length] + '…'


def draw_labels(image: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
  """A copy of an image with labels at their boxes.

  A label is placed above its box, below it or inside it, where it is inside the image and covers no
  earlier label. If there is no such place, the next shorter text is used; if there is none for any
  text, the box gets no label.

  Args:
    image: [height, width, 3] uint8 RGB; not modified.
    labels: labels in order of importance.

  Returns:
    [height, width, 3] uint8 RGB.
  """
  labeled = Image.fromarray(image)
  canvas = ImageDraw.Draw(labeled)
  size = font_size(image.shape[:2], [label.box for label in labels])
  font = fonts.load_font(size, [text for label in labels for text in label.texts])
  taken: list[_Place] = []
  for label in labels:
    for text in label.texts:
      place = _find_place(label.box, _extent(text, font), image.shape[:2], taken)
      if place is not None:
        taken.append(place)
        _write(canvas, place, text, font, label.color)
        break
  return np.array(labeled)


def _extent(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
  """Height and width of a label with its padding; the height is the same for every text."""
  ascent, descent = font.getmetrics()
  return ascent + descent + _PADDING, int(np.ceil(font.getlength(text))) + 2 * _PADDING


def _find_place(
  box: Box,
  extent: tuple[int, int],
  image_hw: tuple[int, int],
  taken: Sequence[_Place],
) -> _Place | None:
  """The first free place at a box for a label of the given height and width, or None."""
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


def _overlap(place: _Place, other: _Place) -> bool:
  """Whether two rectangles share a pixel."""
  return place[0] < other[2] and other[0] < place[2] and place[1] < other[3] and other[1] < place[3]


def _write(
  canvas: ImageDraw.ImageDraw,
  place: _Place,
  text: str,
  font: ImageFont.FreeTypeFont,
  color: palette.Color,
) -> None:
  """Write one text on a background of a color."""
  top, left, bottom, right = place
  canvas.rectangle((left, top, right - 1, bottom - 1), fill=color)
  canvas.text((left + _PADDING, top), text, fill=palette.text_color(color), font=font)
