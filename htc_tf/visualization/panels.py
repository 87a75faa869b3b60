"""Images side by side under titles, and writing of image files."""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from htc_tf import file_systems, files
from htc_tf.errors import InputError
from htc_tf.visualization import fonts, labels

_FORMATS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG', '.webp': 'WEBP'}
_GAP = 8
_MIN_FONT_SIZE = 15
_MAX_SIDE = 2000
_BACKGROUND = (255, 255, 255)


def side_by_side(
  panels: Sequence[np.ndarray], titles: Sequence[str], min_side: int = 400
) -> np.ndarray:
  """Images of equal height side by side, each under a title.

  Args:
    panels: images [height, width, 3] uint8 RGB, such as image, ground truth and prediction.
    titles: title of each image.
    min_side: smallest height and width of a panel; smaller images are enlarged, but not beyond 2000
      pixels on their long side.

  Returns:
    [height, width, 3] uint8 RGB on a white background.

  Raises:
    InputError: there is no image, or another number of titles.
  """
  if not panels or len(panels) != len(titles):
    raise InputError(
      'Images cannot be put side by side',
      expected='as many titles as images, at least one',
      got=f'{len(panels)} images and {len(titles)} titles',
    )
  height = max(_legible_height(panel.shape[:2], min_side) for panel in panels)
  font_size = max(_MIN_FONT_SIZE, labels.font_size((height, height)))
  columns = [
    _titled(_to_height(panel, height), title, font_size) for panel, title in zip(panels, titles)
  ]
  gap = np.full((columns[0].shape[0], _GAP, 3), _BACKGROUND, np.uint8)
  row = [part for column in columns for part in (gap, column)] + [gap]
  return np.concatenate(row, axis=1)


class SheetRow(NamedTuple):
  """A row of a sheet.

  Attributes:
    cells: image [height, width, 3] uint8 RGB and title of each cell; at least one.
    heading: text above the row; empty for none.
  """

  cells: Sequence[tuple[np.ndarray, str]]
  heading: str = ''


def sheet(rows: Sequence[SheetRow], cell_width: int, heading: str) -> np.ndarray:
  """Rows of images in columns of equal width, each image under a title.

  Args:
    rows: the rows; their images are at most `cell_width` wide.
    cell_width: width of a column in pixels.
    heading: text above all.

  Returns:
    [height, width, 3] uint8 RGB on a white background.

  Raises:
    InputError: there is no image, or one that is too wide.
  """
  widest = max((panel.shape[1] for row in rows for panel, _ in row.cells), default=0)
  if not 0 < widest <= cell_width:
    raise InputError(
      'Images cannot be put on a sheet',
      expected=f'at least one image, and none wider than {cell_width} pixels',
      got=f'a width of {widest}' if widest else 'no image',
    )
  num_columns = max(len(row.cells) for row in rows)
  width = num_columns * (cell_width + _GAP) + _GAP
  lines = [_heading(heading, width, 24)]
  for row in rows:
    if row.heading:
      lines.append(_heading(row.heading, width, 19))
    cells = [
      _titled(_padded(panel, cell_width), title, _MIN_FONT_SIZE) for panel, title in row.cells
    ]
    height = max(cell.shape[0] for cell in cells)
    columns = [_padded(cell, cell_width + _GAP, height) for cell in cells]
    lines.append(_padded(np.concatenate(columns, axis=1), width - _GAP))
  content = np.concatenate([_padded(line, width - _GAP) for line in lines], axis=0)
  return cv2.copyMakeBorder(content, _GAP, 0, _GAP, 0, cv2.BORDER_CONSTANT, value=_BACKGROUND)


def _padded(panel: np.ndarray, width: int, height: int = 0) -> np.ndarray:
  """An image with white on the right and below."""
  bottom, right = max(0, height - panel.shape[0]), width - panel.shape[1]
  return cv2.copyMakeBorder(panel, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=_BACKGROUND)


def _heading(text: str, width: int, font_size: int) -> np.ndarray:
  """A line of large text."""
  font = fonts.load_font(font_size, [text])
  strip = Image.new('RGB', (width - _GAP, sum(font.getmetrics()) + 2 * _GAP), _BACKGROUND)
  text = labels.shortened(text, font, strip.width)
  ImageDraw.Draw(strip).text((0, _GAP), text, fill=(0, 0, 0), font=font)
  return np.array(strip)


def write_image(path: files.PathLike, image: np.ndarray) -> None:
  """Write an image file completely or not at all.

  Args:
    path: path of the file; its suffix determines the format (.png, .jpg, .jpeg or .webp).
    image: [height, width, 3] uint8 RGB.

  Raises:
    InputError: the path has another suffix, or the array another shape or type.
  """
  suffix = os.path.splitext(path)[1].lower()
  if suffix not in _FORMATS:
    raise InputError(
      f'Image {path} cannot be written',
      expected=f'one of the suffixes {", ".join(_FORMATS)}',
      got=suffix or 'no suffix',
    )
  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
    raise InputError(
      f'Image {path} cannot be written',
      expected='[height, width, 3] of uint8',
      got=f'{list(image.shape)} of {image.dtype}',
    )
  options = {'quality': 92} if _FORMATS[suffix] != 'PNG' else {}
  with (
    files.replaced_when_written(path) as temporary,
    file_systems.open_file(temporary, 'wb') as stream,
  ):
    Image.fromarray(image).save(stream, format=_FORMATS[suffix], **options)


def _legible_height(image_hw: tuple[int, int], min_side: int) -> int:
  """Height of an image after it is enlarged to `min_side`, as far as its long side allows."""
  scale = max(1, min(min_side / min(image_hw), _MAX_SIDE / max(image_hw)))
  return math.ceil(image_hw[0] * scale)


def _to_height(panel: np.ndarray, height: int) -> np.ndarray:
  """An image resized to a height, with the same aspect ratio."""
  width = max(1, round(panel.shape[1] * height / panel.shape[0]))
  if (height, width) == panel.shape[:2]:
    return panel
  return cv2.resize(panel, (width, height), interpolation=cv2.INTER_CUBIC)


def _titled(panel: np.ndarray, title: str, font_size: int) -> np.ndarray:
  """An image with a title above it; a long title is cut to the width of the image."""
  font = fonts.load_font(font_size, [title])
  title = labels.shortened(title, font, panel.shape[1])
  ascent, descent = font.getmetrics()
  strip = Image.new('RGB', (panel.shape[1], ascent + descent + 2 * _GAP), _BACKGROUND)
  ImageDraw.Draw(strip).text((0, _GAP), title, fill=(0, 0, 0), font=font)
  bottom = np.full((_GAP, panel.shape[1], 3), _BACKGROUND, np.uint8)
  return np.concatenate([np.array(strip), panel, bottom], axis=0)
