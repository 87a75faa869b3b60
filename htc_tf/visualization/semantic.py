"""Drawing of semantic maps and of their legends."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from htc_tf.data import images
from htc_tf.visualization import fonts, palette
from htc_tf.visualization import labels as labels_lib

_BACKGROUND = (62, 66, 74)
_IGNORED = (236, 236, 236)
_STRIPES = (176, 176, 176)
_STRIPE_PERIOD = 8
# Share of a color that stays where the image is black, so that its structure shows through.
_MIN_SHADE = 0.55
_GAP = 8
_MIN_FONT_SIZE = 15
_WHITE = (255, 255, 255)


def semantic_color(label: int) -> palette.Color:
  """The color of a label: dark gray for label 0, light gray where ignored."""
  if label == images.IGNORED_LABEL:
    return _IGNORED
  return palette.instance_color(label - 1) if label else _BACKGROUND


def draw_semantic(image: np.ndarray, semantic: np.ndarray) -> np.ndarray:
  """A semantic map in colors, shaded by the image; ignored pixels are striped.

  Args:
    image: [height, width, 3] uint8 RGB.
    semantic: [height, width] uint8, 255 where ignored.

  Returns:
    [height, width, 3] uint8 RGB.
  """
  table = np.array([semantic_color(label) for label in range(256)], np.float32)
  colors = table[semantic]  # [height, width, 3]
  height, width = semantic.shape
  diagonals = np.arange(height)[:, np.newaxis] + np.arange(width)
  is_stripe = diagonals % _STRIPE_PERIOD < 2
  ignored = semantic == images.IGNORED_LABEL
  colors[ignored & is_stripe] = _STRIPES
  shade = _MIN_SHADE + (1 - _MIN_SHADE) / 255 * image.mean(axis=2, keepdims=True)
  shade[ignored] = 1
  return np.rint(colors * shade).astype(np.uint8)


def legend_entries(
  semantic: np.ndarray, names: Mapping[int, str]
) -> list[tuple[palette.Color, str]]:
  """Color and text for every label in a map, the largest area first.

  Args:
    semantic: [height, width] uint8, 255 where ignored.
    names: names of labels; other labels are named by their number.
  """
  found, counts = np.unique(semantic, return_counts=True)
  order = np.argsort(-counts, kind='stable')
  entries = []
  for label, count in zip(found[order].tolist(), counts[order].tolist()):
    name = 'ignored' if label == images.IGNORED_LABEL else names.get(label, f'label {label}')
    entries.append((semantic_color(label), f'{name} {_percent(count / semantic.size)}'))
  return entries


def draw_legend(entries: Sequence[tuple[palette.Color, str]], width: int) -> np.ndarray:
  """Colored squares with texts, in as many lines as they need; a long text is cut.

  Args:
    entries: color and text of each entry.
    width: width in pixels.

  Returns:
    [height, width, 3] uint8 RGB on white.
  """
  font = fonts.load_font(max(_MIN_FONT_SIZE, width // 34), [text for _, text in entries])
  ascent, descent = font.getmetrics()
  line, side = ascent + descent + 4, ascent
  places, left, top = [], 0, _GAP // 2
  for color, full_text in entries:
    text = labels_lib.shortened(full_text, font, width - side - _GAP)
    extent = side + _GAP // 2 + int(np.ceil(font.getlength(text))) + 2 * _GAP
    if left and left + extent - 2 * _GAP > width:
      left, top = 0, top + line
    places.append((left, top, color, text))
    left += extent
  strip = Image.new('RGB', (width, top + line if entries else 1), _WHITE)
  canvas = ImageDraw.Draw(strip)
  for left, top, color, text in places:
    canvas.rectangle((left, top + 2, left + side - 1, top + side + 1), color, (120, 120, 120))
    canvas.text((left + side + _GAP // 2, top), text, fill=(30, 30, 30), font=font)
  return np.array(strip)


def _percent(share: float) -> str:
  return '<1%' if 0 < share < 0.01 else f'{share:.0%}'
