"""Reading of images: from a file or its bytes to upright 8-bit RGB pixels.

Conversion, prediction and the client of a server all use this module, so that they get the same
pixels. `rgb_pixels` says what these are for each kind of file. The signatures of an export, which
cannot call Python, decode JPEG and PNG files to the same pixels and refuse other files.
"""

import dataclasses
import io
import os
import struct
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image

from htc_tf.data import exif, rgb_pixels
from htc_tf.data.rgb_pixels import UnreadableImageError

# An RGB image of this size takes 150 MB once decoded; photographs of most phones are smaller.
MAX_PIXELS = 50_000_000
IGNORED_LABEL = 255
_KEPT_FORMATS = {'JPEG': 'jpeg', 'PNG': 'png'}
_PNG_COLOR_TYPE_BYTE = 25
_LABEL_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')
# What Pillow raises for damaged files.
_UNREADABLE = (
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
    image: the decoded image, as stored.
    content: content of the file; empty if the image was given as pixels.
    orientation: the EXIF orientation of the file.
    turned: whether the EXIF orientation is applied and changes the image.
    path: path of the file; None if the image was given as bytes or pixels.

  Attributes:
    turned: whether the EXIF orientation was applied and changed the image.
    has_orientation: whether the file has an EXIF orientation other than upright.
    path: path of the file; None if the image was given as bytes or pixels.
  """

  def __init__(
    self,
    image: Image.Image,
    content: bytes,
    orientation: int = exif.UPRIGHT,
    turned: bool = False,
    path: str | None = None,
  ):
    self.turned = turned
    self.has_orientation = orientation != exif.UPRIGHT
    self.path = path
    self._orientation = orientation
    self._image = image
    self._content = content

  @property
  def size(self) -> tuple[int, int]:
    """Height and width in pixels."""
    stored = (self._image.height, self._image.width)
    exchanges = self.turned and self._orientation in exif.EXCHANGING
    return stored[::-1] if exchanges else stored

  def pixels(self) -> np.ndarray:
    """The pixels, [height, width, 3] uint8 RGB.

    Raises:
      UnreadableImageError: the pixels cannot be converted to 8 bits.
    """
    image = rgb_pixels.to_rgb(self._image, self._image.format or '', self._content)
    return np.asarray(exif.turned_upright(image, self._orientation) if self.turned else image)

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
    is_deep = rgb_pixels.is_deep_color(self._image, name, self._content)
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
  image, orientation = _decode(content)
  told = _upright_by_size((image.height, image.width), orientation, annotated_hw)
  turned = orientation != exif.UPRIGHT and (upright if told is None else told)
  return SourceImage(image, content, orientation, turned, path)


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
    with open(path, 'rb') as file, rgb_pixels.without_warnings():
      image = _open(file)
      orientation = exif.orientation_of(image)
      return _upright_by_size(_stored_size(image, orientation), orientation, annotated_hw)
  except (UnreadableImageError, *_UNREADABLE):
    return None


def _stored_size(image: Image.Image, orientation: int) -> tuple[int, int]:
  """Height and width of an image that is not decoded; of a TIFF file, Pillow gives the upright."""
  size = (image.height, image.width)
  return size[::-1] if image.format == 'TIFF' and orientation in exif.EXCHANGING else size


def _upright_by_size(
  stored: tuple[int, int], orientation: int, annotated_hw: tuple[int, int] | None
) -> bool | None:
  """Whether only the upright image (True) or only the stored one (False) has a size, else None."""
  upright = stored[::-1] if orientation in exif.EXCHANGING else stored
  if annotated_hw not in (stored, upright) or stored == upright:
    return None
  return annotated_hw == upright


def image_from_pixels(pixels: np.ndarray) -> SourceImage:
  """An image without a file, from [height, width, 3] uint8 RGB."""
  return SourceImage(Image.fromarray(pixels), b'')


def read_label_map(path: str | os.PathLike | bytes) -> np.ndarray:
  """Labels of a PNG file or of its bytes, [height, width] of any integer type.

  Labels are the stored samples: indices of a palette are not resolved, and gray values of 1, 2 and
  4 bits are not scaled to 8 bits.

  Raises:
    UnreadableImageError: the file is not an image, or it has more than one channel.
    OSError: the file cannot be opened.
  """
  content = _read_bytes(path)
  image, _ = _decode(content)
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
  return 255 // (2 ** min(content[rgb_pixels.PNG_BIT_DEPTH_BYTE], 8) - 1)


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


def _decode(content: bytes) -> tuple[Image.Image, int]:
  """The image as it is stored, and its EXIF orientation."""
  if not content:
    raise UnreadableImageError('The file is empty', likely_cause='an interrupted copy')
  try:
    with rgb_pixels.without_warnings():
      image = _open(io.BytesIO(content))
      orientation = exif.orientation_of(image)
      image.load()
  except UnreadableImageError:
    raise
  except _UNREADABLE as error:
    raise rgb_pixels.refused_tiff(content, MAX_PIXELS) or UnreadableImageError(
      'The file cannot be decoded',
      got=str(error),
      likely_cause='a file of another type, or a truncated one',
    ) from error
  if image.format != 'TIFF':
    return image, exif.orientation_of(image)  # PNG files may have it after the pixels.
  stored = exif.as_stored(image, orientation)  # Pillow has turned it upright.
  stored.format = image.format
  return stored, orientation


def _open(file: BinaryIO) -> Image.Image:
  """An image that is not decoded yet; raises `UnreadableImageError` if it is too large."""
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
