"""Decoding of image files: the image as it is stored, and its EXIF orientation."""

import io
import struct
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image

from htc_tf.data import exif, image_limits, npy_file, rgb_pixels, tiff_samples
from htc_tf.data.pillow_warnings import without_warnings
from htc_tf.data.rgb_pixels import UnreadableImageError

# What Pillow raises for damaged files.
UNREADABLE = (
  ArithmeticError,
  AttributeError,
  EOFError,
  LookupError,
  NotImplementedError,
  OSError,
  SyntaxError,
  TypeError,
  ValueError,
  struct.error,
  zlib.error,
)


def decode(content: bytes) -> tuple[Image.Image | np.ndarray, int]:
  """The image as it is stored, and its EXIF orientation.

  Args:
    content: content of the file.

  Returns:
    The samples [height, width, channels] of NPY files, and of TIFF files of channels that Pillow
    does not read; otherwise a loaded Pillow image.

  Raises:
    UnreadableImageError: the file is empty, damaged, too large or not an image.
  """
  if npy_file.is_npy(content):
    return npy_file.read(content), exif.UPRIGHT
  try:
    return decode_picture(content)
  except UnreadableImageError:
    samples = tiff_samples.read_samples(content)
    if samples is None:
      raise
    return samples, rgb_pixels.orientation_of_tiff(content)


def decode_picture(content: bytes) -> tuple[Image.Image, int]:
  """A loaded Pillow image as it is stored, and its EXIF orientation; errors as for `decode`."""
  if not content:
    raise UnreadableImageError('The file is empty', likely_cause='an interrupted copy')
  try:
    with without_warnings():
      image = open_image(io.BytesIO(content))
      orientation = exif.orientation_of(image)
      image.load()
  except UnreadableImageError:
    raise
  except UNREADABLE as error:
    raise rgb_pixels.refused_tiff(content, image_limits.max_pixels()) or UnreadableImageError(
      'The file cannot be decoded',
      got=str(error).partition(' <_io')[0],  # Pillow names its stream with an address.
      likely_cause='a file of another type, or a truncated one',
    ) from error
  if image.format != 'TIFF':
    return image, exif.orientation_of(image)  # PNG files may have it after the pixels.
  stored = exif.as_stored(image, orientation)  # Pillow has turned it upright.
  stored.format = image.format
  return stored, orientation


def open_image(file: BinaryIO) -> Image.Image:
  """An image that is not decoded yet.

  Args:
    file: open file.

  Raises:
    UnreadableImageError: the image has more pixels than `image_limits` allows.
  """
  try:
    image = Image.open(file)
  except Image.DecompressionBombError as error:
    raise image_limits.too_large(str(error)) from error
  image_limits.check_size(image.height, image.width)
  return image


def stored_size(image: Image.Image | np.ndarray) -> tuple[int, int]:
  """Height and width of an image as it is stored."""
  if isinstance(image, np.ndarray):
    return image.shape[0], image.shape[1]
  return image.height, image.width
