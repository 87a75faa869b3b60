"""Reads source pictures and stuff maps, and encodes what goes into the records."""

import dataclasses
import io

import numpy as np
from PIL import Image, ImageOps

from htc_tf.data import pixel_limit
from htc_tf.errors import DataError

IGNORED_LABEL = 255
_KEPT_FORMATS = {'JPEG': 'jpeg', 'PNG': 'png'}
_PNG_BIT_DEPTH_BYTE = 24
_UNREADABLE = (OSError, SyntaxError, ValueError)


class UnreadableImageError(DataError):
  """A file that is no image, is truncated, too large or has a pixel type without 8-bit reading."""


@dataclasses.dataclass(frozen=True)
class EncodedImage:
  """A picture ready for a record: JPEG or PNG bytes, 8-bit RGB."""

  encoded: bytes
  format: str
  height: int
  width: int
  converted: bool


def read_image(path: str, annotated_hw: tuple[int, int] | None = None) -> EncodedImage:
  """Reads a picture; 8-bit RGB JPEG and PNG stay as they are, others become RGB PNG.

  16-bit greys are divided by 257, alpha is dropped, palettes are resolved. A picture is
  turned as its EXIF orientation says where that gives it the annotated size and its stored pixels
  are of another; else boxes are taken to be in pixels as they are stored.

  Args:
    path: the file.
    annotated_hw: height and width the annotations give.

  Raises:
    UnreadableImageError: see there.
  """
  with open(path, 'rb') as file:
    content = file.read()
  image = _turned(_decode(content), annotated_hw)
  if (
    image.format in _KEPT_FORMATS
    and image.mode == 'RGB'
    and not _is_deep_png(content, image.format)
  ):
    return EncodedImage(content, _KEPT_FORMATS[image.format], image.height, image.width, False)
  encoded = encode_png(np.asarray(_to_rgb(image)))
  return EncodedImage(encoded, 'png', image.height, image.width, True)


def read_label_map(path: str) -> np.ndarray:
  """Reads a PNG of labels: [height, width], palette indices as they are.

  Raises:
    UnreadableImageError: no image, or one with more than one channel.
  """
  with open(path, 'rb') as file:
    image = _decode(file.read())
  if image.mode not in ('L', 'P', 'I', 'I;16', 'I;16B'):
    raise UnreadableImageError(f'labels in mode {image.mode}', expected='one channel')
  return np.asarray(image)


def clean_label_map(labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, bool]:
  """Labels as uint8, those out of range ignored, and whether there were such.

  Args:
    labels: [height, width] of any integer type.
    num_classes: labels from there on are out of range, but for IGNORED_LABEL.
  """
  outside = ((labels < 0) | (labels >= num_classes)) & (labels != IGNORED_LABEL)
  return np.where(outside, IGNORED_LABEL, labels).astype(np.uint8), bool(outside.any())


def encode_png(array: np.ndarray) -> bytes:
  """PNG bytes of [height, width] or [height, width, 3] uint8."""
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, format='PNG', compress_level=4)
  return buffer.getvalue()


def _decode(content: bytes) -> Image.Image:
  if not content:
    raise UnreadableImageError('the file is empty')
  try:
    image = pixel_limit.open_picture(io.BytesIO(content))
    image.load()
  except _UNREADABLE as error:
    raise UnreadableImageError(str(error)) from error
  return image


def _turned(image: Image.Image, annotated_hw: tuple[int, int] | None) -> Image.Image:
  if annotated_hw in (None, (image.height, image.width)):
    return image
  upright = ImageOps.exif_transpose(image)
  return upright if annotated_hw == (upright.height, upright.width) else image


def _is_deep_png(content: bytes, image_format: str | None) -> bool:
  return image_format == 'PNG' and content[_PNG_BIT_DEPTH_BYTE] > 8


def _to_rgb(image: Image.Image) -> Image.Image:
  if image.mode in ('I', 'I;16', 'I;16B', 'I;16L'):
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
      raise UnreadableImageError(
        'grey values exceed 16 bits', got=f'{values.min()}..{values.max()}'
      )
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert('RGB')
  if image.mode == 'F':
    raise UnreadableImageError('floating-point pixels have no defined range')
  if image.mode == 'P':
    return image.convert('RGBA').convert('RGB')
  return image.convert('RGB')
