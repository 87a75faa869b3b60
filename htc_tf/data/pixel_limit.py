"""The limit on pixels, by which a small file cannot fill the memory once it is decoded."""

import warnings
from typing import BinaryIO

from PIL import Image

from htc_tf.errors import DataError

# 150 MB once decoded; the cameras of most telephones stay below.
MAX_PIXELS = 50_000_000


def open_picture(source: str | BinaryIO) -> Image.Image:
  """Opens a picture as `PIL.Image.open` does, which reads its header alone.

  Args:
    source: path or binary file.

  Raises:
    DataError: it has more than `MAX_PIXELS` pixels.
    OSError, SyntaxError, ValueError: it is no picture.
  """
  with warnings.catch_warnings():
    # Pillow's own limits are higher; the one below takes their place.
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    try:
      image = Image.open(source)
    except Image.DecompressionBombError as error:
      raise _too_large(str(error)) from error
  if image.width * image.height > MAX_PIXELS:
    image.close()
    raise _too_large(f'{image.width}x{image.height}')
  return image


def _too_large(size: str) -> DataError:
  return DataError(
    'the picture has too many pixels',
    expected=f'at most {MAX_PIXELS}',
    got=size,
    likely_cause='a file made to fill the memory, or a scan: make it smaller',
  )
