"""Reading of images: from a file or its bytes to upright 8-bit RGB pixels.

Conversion, prediction and the client of a server all use this module, so that they get the same
pixels. Gray values of 16 bits are divided by 257, palettes are resolved, alpha is dropped.
"""

import dataclasses
import io
import os
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from htc_tf.errors import DataError

# An RGB image of this size takes 150 MB once decoded; photographs of most phones are smaller.
MAX_PIXELS = 50_000_000
IGNORED_LABEL = 255
_KEPT_FORMATS = {'JPEG': 'jpeg', 'PNG': 'png'}
_PNG_BIT_DEPTH_BYTE = 24
_GRAY_MODES = ('I', 'I;16', 'I;16B', 'I;16L')
_PNG_COLOR_TYPE_BYTE = 25
_LABEL_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
_EXCHANGING_ORIENTATIONS = range(5, 9)  # of EXIF: height and width are exchanged
_UNREADABLE = (OSError, SyntaxError, ValueError)


class UnreadableImageError(DataError):
  """A file that is no image, is truncated, has too many pixels or cannot be converted to 8 bits."""


@dataclasses.dataclass(frozen=True)
class EncodedImage:
  """An image as a JPEG or PNG file of upright 8-bit RGB pixels.

  Attributes:
    content: content of the file.
    format: 'jpeg' or 'png'.
    height: height in pixels.
    width: width in pixels.
    converted: whether `content` differs from the file that was read.
  """

  content: bytes
  format: str
  height: int
  width: int
  converted: bool


class SourceImage:
  """A decoded image, made by `read_image` or `image_from_pixels`.

  Args:
    image: the decoded image, after the EXIF orientation was applied or ignored.
    content: content of the file.
    turned: whether the EXIF orientation was applied and changed the image.
    path: path of the file; None if the image was given as bytes or pixels.
    has_orientation: whether the file has an EXIF orientation other than upright.

  Attributes:
    turned: whether the EXIF orientation was applied and changed the image.
    has_orientation: whether the file has an EXIF orientation other than upright.
    path: path of the file; None if the image was given as bytes or pixels.
  """

  def __init__(
    self,
    image: Image.Image,
    content: bytes,
    turned: bool,
    path: str | None = None,
    has_orientation: bool = False,
  ):
    self.turned = turned
    self.has_orientation = has_orientation
    self.path = path
    self._image = image
    self._content = content

  @property
  def size(self) -> tuple[int, int]:
    """Height and width in pixels."""
    return self._image.height, self._image.width

  def pixels(self) -> np.ndarray:
    """The pixels, [height, width, 3] uint8 RGB.

    Raises:
      UnreadableImageError: the pixels cannot be converted to 8 bits.
    """
    return np.asarray(_to_rgb(self._image))

  def encoded(self, may_keep: bool = True) -> EncodedImage:
    """The image as a file: the one that was read if possible, otherwise a PNG of the pixels.

    Args:
      may_keep: whether the file that was read may be used.

    Raises:
      UnreadableImageError: the pixels cannot be converted to 8 bits.
    """
    height, width = self.size
    kept_format = self._kept_format() if may_keep else None
    if kept_format:
      return EncodedImage(self._content, kept_format, height, width, False)
    return EncodedImage(encode_png(self.pixels()), 'png', height, width, True)

  def _kept_format(self) -> str | None:
    """Format of the file that was read if it is a JPEG or PNG of just these pixels, else None."""
    name = self._image.format or ''
    is_deep = name == 'PNG' and self._content[_PNG_BIT_DEPTH_BYTE] > 8
    is_exact = self._image.mode == 'RGB' and not is_deep and not self.turned
    return _KEPT_FORMATS.get(name) if is_exact else None


def read_image(
  source: str | os.PathLike | bytes,
  annotated_hw: tuple[int, int] | None = None,
  upright: bool = True,
) -> SourceImage:
  """An image from a file or from its bytes, completely decoded.

  The image is turned upright according to its EXIF orientation if `upright` is set. If only one of
  the stored and the upright image has the annotated size, that image is returned instead.

  Args:
    source: path of a file, or its content.
    annotated_hw: height and width according to the annotations, if the size may decide.
    upright: whether annotations refer to the upright image where the size does not tell.

  Raises:
    UnreadableImageError: the file is empty, damaged or not an image, or it has more than
      `MAX_PIXELS` pixels, in which case it is not decoded.
    OSError: the file cannot be opened.
  """
  content = _read_bytes(source)
  path = None if isinstance(source, bytes) else os.fspath(source)
  image = _decode(content)
  if _orientation(image) == 1:
    return SourceImage(image, content, turned=False, path=path)
  told = _upright_by_size(image, annotated_hw)
  if not (upright if told is None else told):
    return SourceImage(image, content, turned=False, path=path, has_orientation=True)
  turned = ImageOps.exif_transpose(image)
  turned.format = image.format
  return SourceImage(turned, content, turned=True, path=path, has_orientation=True)


def refers_to_upright(path: str | os.PathLike, annotated_hw: tuple[int, int]) -> bool | None:
  """Whether annotations refer to the upright image, by its size; only the header is read.

  Args:
    path: path of the image.
    annotated_hw: height and width according to the annotations.

  Returns:
    None if the size does not tell: the file has no EXIF orientation that exchanges height and
    width, the image is square, it has neither size, or it cannot be read.
  """
  try:
    with open(path, 'rb') as file:
      return _upright_by_size(_open(file), annotated_hw)
  except (UnreadableImageError, *_UNREADABLE):
    return None


def _upright_by_size(image: Image.Image, annotated_hw: tuple[int, int] | None) -> bool | None:
  """Whether only the upright image (True) or only the stored one (False) has a size, else None."""
  stored = (image.height, image.width)
  upright = stored[::-1] if _orientation(image) in _EXCHANGING_ORIENTATIONS else stored
  if annotated_hw not in (stored, upright) or stored == upright:
    return None
  return annotated_hw == upright


def image_from_pixels(pixels: np.ndarray) -> SourceImage:
  """An image without a file, from [height, width, 3] uint8 RGB."""
  return SourceImage(Image.fromarray(pixels), b'', turned=False)


def read_label_map(path: str | os.PathLike) -> np.ndarray:
  """Labels of a PNG file, [height, width] of any integer type.

  Labels are the stored samples: indices of a palette are not resolved, and gray values of 1, 2 and
  4 bits are not scaled to 8 bits.

  Raises:
    UnreadableImageError: the file is not an image, or it has more than one channel.
    OSError: the file cannot be opened.
  """
  content = _read_bytes(path)
  image = _decode(content)
  if image.mode not in _LABEL_MODES:
    raise UnreadableImageError(
      'The label map has the wrong channels', expected='one channel', got=f'mode {image.mode}'
    )
  labels = np.asarray(image)
  return labels.astype(np.uint8) if image.mode == '1' else labels // _gray_scale(image, content)


def _gray_scale(image: Image.Image, content: bytes) -> int:
  """Factor by which Pillow scales the samples of a gray PNG of fewer than 8 bits; else 1."""
  if image.format != 'PNG' or content[_PNG_COLOR_TYPE_BYTE] != 0:
    return 1
  return 255 // (2 ** min(content[_PNG_BIT_DEPTH_BYTE], 8) - 1)


def clean_label_map(labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, bool]:
  """A label map without invalid labels.

  Args:
    labels: [height, width] of any integer type.
    num_classes: number of classes; labels that are not below it are invalid, except for
      `IGNORED_LABEL`.

  Returns:
    [height, width] uint8 with `IGNORED_LABEL` in place of invalid labels, and whether there were
    any.
  """
  invalid = ((labels < 0) | (labels >= num_classes)) & (labels != IGNORED_LABEL)
  return np.where(invalid, IGNORED_LABEL, labels).astype(np.uint8), bool(invalid.any())


def encode_png(array: np.ndarray) -> bytes:
  """Content of a PNG file of [height, width] or [height, width, 3] uint8."""
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, format='PNG', compress_level=4)
  return buffer.getvalue()


def _read_bytes(source: str | os.PathLike | bytes) -> bytes:
  if isinstance(source, bytes):
    return source
  with open(source, 'rb') as file:
    return file.read()


def _decode(content: bytes) -> Image.Image:
  if not content:
    raise UnreadableImageError('The file is empty', likely_cause='an interrupted copy')
  try:
    image = _open(io.BytesIO(content))
    image.load()
  except UnreadableImageError:
    raise
  except _UNREADABLE as error:
    raise UnreadableImageError(
      'The file cannot be decoded',
      got=str(error),
      likely_cause='a file of another type, or a truncated one',
    ) from error
  return image


def _open(file: BinaryIO) -> Image.Image:
  """An image that is not decoded yet; raises `UnreadableImageError` if it is too large."""
  with warnings.catch_warnings():
    # The limit for Pillow's warning is higher than `MAX_PIXELS`, which is checked below.
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    try:
      image = Image.open(file)
    except Image.DecompressionBombError as error:
      raise _too_large(str(error)) from error
  if image.width * image.height > MAX_PIXELS:
    raise _too_large(f'{image.width}x{image.height}')
  return image


def _too_large(size: str) -> UnreadableImageError:
  return UnreadableImageError(
    'The image has too many pixels',
    expected=f'at most {MAX_PIXELS}',
    got=size,
    likely_cause='a file made to fill the memory, or a scan: make it smaller',
  )


def _orientation(image: Image.Image) -> int:
  """EXIF orientation, 1..8; 1 is upright."""
  orientation = image.getexif().get(0x0112, 1)
  return orientation if orientation in range(1, 9) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
  if image.mode in _GRAY_MODES:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
      raise UnreadableImageError(
        'The gray values need more than 16 bits', got=f'{values.min()}..{values.max()}'
      )
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert('RGB')
  if image.mode == 'F':
    raise UnreadableImageError('The pixels are floating-point numbers without a defined range')
  if image.mode == 'P':
    return image.convert('RGBA').convert('RGB')
  return image.convert('RGB')
