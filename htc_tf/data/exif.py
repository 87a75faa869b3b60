"""EXIF orientations: of files that Pillow has opened, and how an image is turned upright.

`encoded_orientation` reads the same orientations in a graph.
"""

import numpy as np
from PIL import Image

UPRIGHT = 1
ORIENTATION_TAG = 0x0112
# Orientations of images that are stored lying on a side.
EXCHANGING = range(5, 9)
# Types of the value: 2 and 4 bytes.
SHORT, LONG = 3, 4
HEADER = b'Exif\0\0'

_METHODS = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}
# Only a quarter turn is not its own inverse.
_INVERSES = {**_METHODS, 6: _METHODS[8], 8: _METHODS[6]}


def orientation_of(image: Image.Image) -> int:
  """EXIF orientation, 1..8; 1 is upright, and stands for missing and damaged EXIF data.

  It is read from EXIF data alone: the orientation that XMP data may repeat has no effect.

  Args:
    image: an image file. Of a TIFF file that is loaded, Pillow has removed the orientation.
  """
  if image.format == 'TIFF':
    orientation = getattr(image, 'tag_v2', {}).get(ORIENTATION_TAG, UPRIGHT)
    return orientation if orientation in range(1, 9) else UPRIGHT
  data = image.info.get('exif')
  return orientation_in(data) if isinstance(data, bytes) else UPRIGHT


def orientation_in(data: bytes) -> int:
  """EXIF orientation in EXIF data, 1..8; 1 if there is none.

  Args:
    data: the data, with or without `HEADER`.
  """
  data = data.removeprefix(HEADER)
  order = 'little' if data[:2] == b'II' else 'big'
  if data[:2] not in (b'II', b'MM'):
    return UPRIGHT

  def number(start: int, length: int) -> int:
    return int.from_bytes(data[start : start + length], order)  # type: ignore[arg-type]

  directory = number(4, 4)
  first = directory + 2
  available = max(len(data) - first, 0) // 12
  for start in range(first, first + 12 * min(number(directory, 2), available), 12):
    if number(start, 2) == ORIENTATION_TAG:
      length = {SHORT: 2, LONG: 4}.get(number(start + 2, 2))
      orientation = number(start + 8, length) if length else UPRIGHT
      return orientation if orientation in range(1, 9) else UPRIGHT
  return UPRIGHT


def turned_upright(image: Image.Image, orientation: int) -> Image.Image:
  """The upright image of a stored one."""
  return image.transpose(_METHODS[orientation]) if orientation in _METHODS else image


def upright_samples(samples: np.ndarray, orientation: int) -> np.ndarray:
  """The upright image of a stored one, [height, width, channels]."""
  if orientation in EXCHANGING:
    samples = samples.transpose(1, 0, 2)
  if orientation in (2, 3, 6, 7):
    samples = samples[:, ::-1]
  return samples[::-1] if orientation in (3, 4, 7, 8) else samples


def as_stored(image: Image.Image, orientation: int) -> Image.Image:
  """The stored image of an upright one."""
  return image.transpose(_INVERSES[orientation]) if orientation in _INVERSES else image
