"""Pictures beside each other under titles, and the writing of pictures."""

import math
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from htc_tf import files
from htc_tf.errors import InputError
from htc_tf.visualization import labels

_FORMATS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG', '.webp': 'WEBP'}
_GAP = 8
_MAX_SIDE = 2000
_PAPER = (255, 255, 255)


def side_by_side(
  panels: Sequence[np.ndarray], titles: Sequence[str], min_side: int = 400
) -> np.ndarray:
  """Puts pictures beside each other, each under its title, all equally high.

  Args:
    panels: pictures [height, width, 3] uint8 RGB, such as image, truth and prediction.
    titles: one a picture.
    min_side: least height and width of a panel; smaller pictures are enlarged, though not beyond
      2000 pixels on their longer side.

  Returns:
    [height, width, 3] uint8 RGB on white ground.

  Raises:
    InputError: no picture, or another number of titles.
  """
  if not panels or len(panels) != len(titles):
    raise InputError(
      'Pictures cannot be put side by side',
      expected='as many titles as pictures',
      got=f'{len(panels)} pictures and {len(titles)} titles',
    )
  height = max(_legible_height(panel.shape[:2], min_side) for panel in panels)
  columns = [_titled(_to_height(panel, height), title) for panel, title in zip(panels, titles)]
  gap = np.full((columns[0].shape[0], _GAP, 3), _PAPER, np.uint8)
  row = [part for column in columns for part in (gap, column)] + [gap]
  return np.concatenate(row, axis=1)


def write_image(path: files.PathLike, image: np.ndarray) -> None:
  """Writes a picture, whole or not at all.

  Args:
    path: the file; its ending names the format (.png, .jpg, .jpeg or .webp).
    image: [height, width, 3] uint8 RGB.

  Raises:
    InputError: another ending, or another kind of array.
  """
  suffix = pathlib.Path(path).suffix.lower()
  if suffix not in _FORMATS:
    raise InputError(
      f'Picture {path} cannot be written',
      expected=f'one of {", ".join(_FORMATS)}',
      got=suffix or 'no ending',
    )
  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
    raise InputError(
      f'Picture {path} cannot be written',
      expected='[height, width, 3] of uint8',
      got=f'{list(image.shape)} of {image.dtype}',
    )
  options = {'quality': 92} if _FORMATS[suffix] != 'PNG' else {}
  with files.replaced_when_written(path) as temporary:
    Image.fromarray(image).save(temporary, format=_FORMATS[suffix], **options)


def _legible_height(image_hw: tuple[int, int], min_side: int) -> int:
  """Returns the height at which a picture has its least side, or at least its own height."""
  scale = max(1, min(min_side / min(image_hw), _MAX_SIDE / max(image_hw)))
  return math.ceil(image_hw[0] * scale)


def _to_height(panel: np.ndarray, height: int) -> np.ndarray:
  """Resizes a picture to a height, keeping its proportions."""
  width = max(1, round(panel.shape[1] * height / panel.shape[0]))
  if (height, width) == panel.shape[:2]:
    return panel
  return cv2.resize(panel, (width, height), interpolation=cv2.INTER_CUBIC)


def _titled(panel: np.ndarray, title: str) -> np.ndarray:
  """Adds a strip with a title above a picture; a long title is cut to the width of the picture."""
  # By the height alone, which all panels share, so that their strips are equally high.
  font = labels.load_font(max(15, labels.font_size((panel.shape[0], panel.shape[0]))))
  while len(title) > 1 and font.getlength(title) > panel.shape[1]:
    title = title[:-2] + '…'
  ascent, descent = font.getmetrics()
  strip = Image.new('RGB', (panel.shape[1], ascent + descent + 2 * _GAP), _PAPER)
  ImageDraw.Draw(strip).text((0, _GAP), title, fill=(0, 0, 0), font=font)
  bottom = np.full((_GAP, panel.shape[1], 3), _PAPER, np.uint8)
  return np.concatenate([np.array(strip), panel, bottom], axis=0)
