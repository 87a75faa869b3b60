"""Colors of any number of instances; neighboring indices have very different colors."""

import colorsys
from collections.abc import Sequence
from typing import TypeAlias

Color: TypeAlias = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895
# Saturation and value alternate, so that colors of similar hue still differ.
_SHADES = ((0.85, 1.0), (0.55, 1.0), (0.9, 0.85))
_MIN_LUMINANCE = 110


def instance_color(index: int) -> Color:
  """The color of an instance.

  From one index to the next the hue advances by the golden ratio, so that any sequence of
  neighboring indices is spread over the color circle.

  Args:
    index: position of the instance, from 0.

  Returns:
    Red, green and blue in 0..255, bright enough to be seen on a dark image.
  """
  saturation, value = _SHADES[index % len(_SHADES)]
  hue = (0.55 + index * _GOLDEN_RATIO) % 1.0
  color = [255 * part for part in colorsys.hsv_to_rgb(hue, saturation, value)]
  dark = max(0.0, _MIN_LUMINANCE - _luminance(color))
  # Share of white that brightens dark colors, such as blue and violet.
  share = dark / (255 - _MIN_LUMINANCE + dark)
  red, green, blue = (round(part + share * (255 - part)) for part in color)
  return red, green, blue


def text_color(background: Color) -> Color:
  """Black or white, whichever is easier to read on `background`."""
  return (0, 0, 0) if _luminance(background) > 128 else (255, 255, 255)


def _luminance(color: Sequence[float]) -> float:
  """Perceived brightness of a color, 0 to 255 (ITU-R BT.601)."""
  red, green, blue = color
  return 0.299 * red + 0.587 * green + 0.114 * blue
