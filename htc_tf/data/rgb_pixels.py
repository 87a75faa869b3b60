"""From a decoded image of any mode to 8-bit RGB pixels.

Samples of 16 bits are divided by 257 and rounded, in gray and in color, so that 65535 becomes 255.
Palettes are resolved, alpha is dropped, and inks (CMYK) become the light that they leave. Numbers
without a defined range, such as floating-point ones, are refused.
"""

import cv2
import numpy as np
from PIL import Image

from htc_tf.data import exif, tiff_tags
from htc_tf.errors import DataError

_PNG_BIT_DEPTH_BYTE, _PNG_COLOR_TYPE_BYTE = 24, 25
_PNG_COLORS = (2, 4, 6)  # RGB, gray with alpha, RGB with alpha
GRAY_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'I;16N')


class UnreadableImageError(DataError):
  """A file that is no image, is truncated, has too many pixels or cannot be converted to 8 bits."""


def to_rgb(image: Image.Image, file_format: str, content: bytes) -> Image.Image:
  """The image with 8-bit RGB pixels.

  Args:
    image: the decoded image, as stored.
    file_format: Pillow's name of the format of the file; empty for pixels without a file.
    content: content of the file, whose samples of 16 bits Pillow shortens in color images.

  Raises:
    UnreadableImageError: the pixels have no 8-bit meaning.
  """
  if image.mode in GRAY_MODES:
    return Image.fromarray(_gray_of_8_bits(image, file_format, content)).convert('RGB')
  if image.mode == 'F':
    raise _floating_point(np.asarray(image))
  if is_deep_color(image, file_format, content):
    image = Image.fromarray(_color_of_8_bits(content))
    orientation = tiff_tags.first_value(
      content, exif.ORIENTATION_TAG, exif.UPRIGHT
    )  # 1 for other formats
    return exif.as_stored(image, orientation)
  if image.mode == 'CMYK':
    return Image.fromarray(_light_of_inks(image, file_format))
  if image.mode == 'RGB':
    return image  # `convert` would copy it.
  if image.mode == 'P':
    return image.convert('RGBA').convert('RGB')
  try:
    return image.convert('RGB')
  except ValueError as error:
    raise UnreadableImageError(
      'The colors cannot be converted',
      expected='gray, RGB, a palette, or CMYK',
      got=f'mode {image.mode}',
      likely_cause='an image for print; save it as RGB',
    ) from error


def is_deep_color(image: Image.Image, file_format: str, content: bytes) -> bool:
  """Whether a file holds colors of 16 bits, of which Pillow keeps the upper 8."""
  if file_format == 'PNG':
    return content[_PNG_BIT_DEPTH_BYTE] > 8 and content[_PNG_COLOR_TYPE_BYTE] in _PNG_COLORS
  is_color = image.mode in ('RGB', 'RGBA', 'RGBX')
  return (
    file_format == 'TIFF' and is_color and tiff_tags.first_value(content, tiff_tags.BITS, 8) > 8
  )


def refused_tiff(content: bytes, max_pixels: int) -> UnreadableImageError | None:
  """The error for a TIFF file of floating-point colors, which Pillow does not identify; else None.

  Args:
    content: content of the file.
    max_pixels: a larger file is not decoded.
  """
  size = tiff_tags.first_value(content, tiff_tags.WIDTH, 0) * tiff_tags.first_value(
    content, tiff_tags.HEIGHT, 0
  )
  if not 0 < size <= max_pixels:
    return None
  samples = decode_samples(content)
  is_float = samples is not None and samples.dtype.kind == 'f'
  return _floating_point(samples) if is_float else None


def from_samples(samples: np.ndarray) -> np.ndarray:
  """Pixels [height, width, 3] uint8 RGB of an image whose channels have no stated meaning.

  One channel is gray, and three are red, green and blue.

  Args:
    samples: [height, width, channels] uint8 or uint16.

  Raises:
    UnreadableImageError: there is another number of channels.
  """
  channels = samples.shape[2]
  if channels not in (1, 3):
    raise UnreadableImageError(
      'The image cannot be converted to RGB',
      expected='1 channel (gray) or 3 (red, green, blue)',
      got=f'{channels} channels',
      likely_cause='an image of several channels for a model of RGB images; records keep all '
      'channels with --channels=keep',
    )
  if samples.dtype == np.uint16:
    samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
  return np.repeat(samples, 3, axis=2) if channels == 1 else samples


def _floating_point(values: np.ndarray | None) -> UnreadableImageError:
  finite = values[np.isfinite(values)] if values is not None else np.zeros(0)
  found = f'{finite.min():g}..{finite.max():g}' if finite.size else 'no finite number'
  return UnreadableImageError(
    'The pixels are floating-point numbers without a defined range',
    expected='integers of 8 or 16 bits',
    got=f'values {found}',
    likely_cause='measurements; choose the range that becomes 0..255 or 0..65535, and save the '
    'image with 8 or 16 bits, the same way for all images',
  )


def _gray_of_8_bits(image: Image.Image, file_format: str, content: bytes) -> np.ndarray:
  """Gray values of 8 bits, [height, width] uint8, of an image with 12, 16 or 32 bits."""
  largest = _largest_gray(file_format, content)
  values = deep_gray(image, file_format, content)
  return ((values * 255 + largest // 2) // largest).astype(np.uint8)


def _largest_gray(file_format: str, content: bytes) -> int:
  is_tiff = file_format == 'TIFF'
  return 4095 if is_tiff and tiff_tags.first_value(content, tiff_tags.BITS, 16) == 12 else 65535


def deep_gray(image: Image.Image, file_format: str, content: bytes) -> np.ndarray:
  """Gray values as stored, [height, width] int64, of an image with 12, 16 or 32 bits.

  Args:
    image: the decoded image, with one of `GRAY_MODES`.
    file_format: Pillow's name of the format of the file; empty for pixels without a file.
    content: content of the file.

  Raises:
    UnreadableImageError: the values need more than 16 bits.
  """
  values = np.asarray(image).astype(np.int64)
  largest = _largest_gray(file_format, content)
  if values.min() < 0 or values.max() > largest:
    raise UnreadableImageError(
      'The gray values need more than 16 bits',
      expected='values from 0 to 65535',
      got=f'{values.min()}..{values.max()}',
      likely_cause='measurements; choose the range that becomes 0..65535, and save the image with '
      '16 bits',
    )
  is_inverted = (
    file_format == 'TIFF'
    and tiff_tags.first_value(content, tiff_tags.PHOTOMETRIC, 1) == tiff_tags.WHITE_IS_ZERO
  )
  return largest - values if is_inverted else values


def _color_of_8_bits(content: bytes) -> np.ndarray:
  """Pixels [height, width, 3] uint8 RGB of a file with colors of 16 bits.

  OpenCV returns PNG files as stored, and TIFF files upright.
  """
  samples = decode_samples(content)
  if samples is None or samples.dtype != np.uint16 or samples.ndim != 3 or samples.shape[2] < 3:
    raise UnreadableImageError(
      'The colors of 16 bits cannot be decoded',
      got='none' if samples is None else f'{list(samples.shape)} {samples.dtype}',
      likely_cause='a truncated file; or save the image with 8 bits',
    )
  blue_green_red = samples[..., :3].astype(np.uint32)
  return ((blue_green_red[..., ::-1] + 128) // 257).astype(np.uint8)


def decode_samples(content: bytes) -> np.ndarray | None:
  """The samples of a file with the channels in OpenCV's order; None if it cannot decode them.

  Args:
    content: content of the file.
  """
  log = cv2.utils.logging
  level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # Else it prints what is wrong with a file.
  try:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
  except cv2.error:
    return None
  finally:
    log.setLogLevel(level)


def _light_of_inks(image: Image.Image, file_format: str) -> np.ndarray:
  """Pixels [height, width, 3] uint8 RGB of CMYK, computed as by TensorFlow's decoder of JPEG.

  In JPEG files, Adobe's programs store 255 minus the ink, and add a marker. Pillow expects this of
  all files.
  """
  inks = np.asarray(image)
  if file_format in ('JPEG', 'MPO') and 'adobe' not in image.info:
    inks = 255 - inks
  light = 255 - inks.astype(np.uint16)
  return (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)


def orientation_of_tiff(content: bytes) -> int:
  """EXIF orientation of a TIFF file, 1..8; 1 if there is none."""
  orientation = tiff_tags.first_value(content, exif.ORIENTATION_TAG, exif.UPRIGHT)
  return orientation if orientation in range(1, 9) else exif.UPRIGHT
