"""Files of masks: numbers or colors of objects, and bitmaps of single objects."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from htc_tf.data import images
from htc_tf.data.pillow_warnings import without_warnings

MASK_SUFFIXES = ('.png', '.tif', '.tiff', '.bmp', '.gif')
_UNREADABLE = (
  OSError,
  SyntaxError,
  ValueError,
  EOFError,
  Image.DecompressionBombError,
  LookupError,
)


class IndexMap(NamedTuple):
  """A map of whole numbers.

  Attributes:
    numbers: [height, width] int64: samples of one channel, indices of a palette, or colors as
      R + 256 G + 65536 B.
    colors: [height, width] int64, colors as R + 256 G + 65536 B; the numbers without a palette.
    has_colors: whether the file has a palette or three channels.
    is_palette: whether the numbers are indices of a palette.
  """

  numbers: np.ndarray
  colors: np.ndarray
  has_colors: bool
  is_palette: bool


def read_map(content: bytes) -> IndexMap | None:
  """The numbers in the content of an image file; None if it cannot be read or they are not whole.

  Args:
    content: content of a file without loss, such as PNG or TIFF, of 8, 16 or 32 bits.
  """
  try:
    with without_warnings():
      image = Image.open(io.BytesIO(content))
      if image.width * image.height > images.MAX_PIXELS:
        return None
      image.load()
      return _map_of(image, content)
  except _UNREADABLE:
    return None


def _map_of(image: Image.Image, content: bytes) -> IndexMap | None:
  if image.mode in ('RGB', 'RGBA'):
    colors = packed(np.asarray(image.convert('RGB')))
    return IndexMap(colors, colors, True, False)
  if image.mode == 'P':
    return IndexMap(
      np.asarray(image).astype(np.int64), packed(np.asarray(image.convert('RGB'))), True, True
    )
  if image.mode == 'LA':
    image = image.getchannel(0)
    numbers = np.asarray(image).astype(np.int64)
  elif image.mode == 'F':
    values = np.asarray(image)
    if not (np.isfinite(values).all() and (values == np.floor(values)).all()):
      return None  # Shares or measurements.
    numbers = values.astype(np.int64)
  else:
    numbers = images.read_label_map(content).astype(np.int64)
  return IndexMap(numbers, numbers, False, False)


def packed(colors: np.ndarray) -> np.ndarray:
  """Colors [height, width, 3] uint8 as R + 256 G + 65536 B, [height, width] int64."""
  channels = colors.astype(np.int64)
  return channels[..., 0] + 256 * channels[..., 1] + 65536 * channels[..., 2]


def read_bitmap(content: bytes) -> np.ndarray | None:
  """The pixels of a single object, [height, width] bool; None if the file cannot be read.

  An object is what is not black; in a file of one color, what is opaque.

  Args:
    content: content of an image file.
  """
  found = read_map(content)
  if found is None:
    return None
  mask = found.colors != 0
  if mask.all() or not mask.any():
    with without_warnings():
      image = Image.open(io.BytesIO(content))
      if 'A' in image.getbands():
        return np.asarray(image.getchannel('A')) > 0
  return mask
