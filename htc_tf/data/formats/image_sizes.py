"""Sizes of images as annotations refer to them, read from the headers of the files."""

import os

from PIL import Image

from htc_tf.data import exif, images
from htc_tf.data.pillow_warnings import without_warnings


def size_of(path: str, upright: bool) -> tuple[int, int] | None:
  """Height and width of an image; None if there is none, or it cannot be read.

  Args:
    path: path of the image.
    upright: whether annotations refer to the image turned upright by its EXIF orientation.
  """
  if not os.path.isfile(path):
    return None
  try:
    with open(path, 'rb') as file, without_warnings():
      return _header_size(Image.open(file), upright)
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
    return _decoded_size(path, upright)


def _header_size(image: Image.Image, upright: bool) -> tuple[int, int]:
  size = (image.height, image.width)
  if exif.orientation_of(image) not in exif.EXCHANGING:
    return size
  is_upright = image.format == 'TIFF'  # Pillow gives the size of the upright image.
  return size if is_upright == upright else size[::-1]


def _decoded_size(path: str, upright: bool) -> tuple[int, int] | None:
  try:
    return images.read_image(path, upright=upright).size
  except (images.UnreadableImageError, OSError):
    return None
