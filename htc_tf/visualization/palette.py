"""Colours of instances: stable, far apart from one to the next, on any number of instances."""

import colorsys
from collections.abc import Sequence

Color = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895
# Saturation and value take turns, so that hues which come close again still differ.
_SHADES = ((0.85, 1.0), (0.55, 1.0), (0.9, 0.85))
_LEAST_LUMINANCE = 110


def instance_color(index: int) -> Color:
  """Returns the colour of an instance.

  The hue moves on by the golden ratio, which keeps any run of neighbouring indices spread over the
  colour circle.

  Args:
    index: position of the instance, from 0.

  Returns:
    Red, green and blue in 0..255, bright enough to stand out on a dark picture.
  """
  saturation, value = _SHADES[index % len(_SHADES)]
  hue = (0.55 + index * _GOLDEN_RATIO) % 1.0
  color = [255 * part for part in colorsys.hsv_to_rgb(hue, saturation, value)]
  dark = max(0.0, _LEAST_LUMINANCE - _luminance(color))  # blue and violet are lifted towards white
  share = dark / (255 - _LEAST_LUMINANCE + dark)
  return tuple(round(part + share * (255 - part)) for part in color)


def text_color(background: Color) -> Color:
  """Returns black or white, whichever is easier to read on `background`."""
  return (0, 0, 0) if _luminance(background) > 128 else (255, 255, 255)


def _luminance(color: Sequence[float]) -> float:
  """Returns how bright a colour looks, 0 to 255 (ITU-R BT.601)."""
  red, green, blue = color
  return 0.299 * red + 0.587 * green + 0.114 * blue
