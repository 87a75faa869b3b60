"""Reading of images: from a file or its bytes to upright pixels.

Conversion, prediction and the client of a server all use this module, so that they get the same
pixels: RGB of 8 bits, into which images of every kind are converted (`rgb_pixels` says how), or the
samples as they are stored, for models of other channels or of 16 bits (`stored_samples`). The
signatures of an export, which cannot call Python, decode JPEG and PNG files to the same pixels and
refuse other files.
"""

import dataclasses
import functools
import io
import os

import numpy as np
from PIL import Image

from htc_tf.data import (
  decoding,
  exif,
  further_pages,
  image_limits,
  npy_file,
  png_file,
  rgb_pixels,
  stored_samples,
)
from htc_tf.data.pillow_warnings import without_warnings
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.data.sample_format import RGB, SampleFormat

MAX_PIXELS = image_limits.MAX_PIXELS
IGNORED_LABEL = 255
_NEARLY_BLACK = 16  # The largest value of 12 bits, 4095, divided by 257 and rounded.
_KEPT_FORMATS = {'JPEG': 'jpeg', 'PNG': 'png'}
_LABEL_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')


@dataclasses.dataclass(frozen=True)
class EncodedImage:
  """An image as a file of upright pixels of one format, which TensorFlow can decode.

  Attributes:
    content: content of the file.
    format: 'jpeg' or 'png'; 'npy' for more than 4 channels.
    height: height in pixels.
    width: width in pixels.
    converted: whether `content` differs from the file that was read.
    sample_format: channels and depth of the pixels.
  """

  content: bytes
  format: str
  height: int
  width: int
  converted: bool
  sample_format: SampleFormat = RGB


class SourceImage:
  """A decoded image, made by `read_image` or `image_from_pixels`.

  Args:
    image: the decoded image, as stored; an array [height, width, channels] if Pillow does not read
      such files.
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
    image: Image.Image | np.ndarray,
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
    stored = decoding.stored_size(self._image)
    exchanges = self.turned and self._orientation in exif.EXCHANGING
    return stored[::-1] if exchanges else stored

  @property
  def sample_format(self) -> SampleFormat:
    """Channels and depth of the file.

    Raises:
      UnreadableImageError: the file has no samples of 8 or 16 bits.
    """
    return SampleFormat(self._stored.shape[2], 8 * self._stored.itemsize)

  @property
  def is_reduced(self) -> bool:
    """Whether `pixels` lacks channels or bits that the file has."""
    if isinstance(self._image, np.ndarray):
      return self.sample_format not in (RGB, SampleFormat(1, 8))
    return stored_samples.is_reduced(self._image, self._image.format or '', self._content)

  @property
  def has_further_pages(self) -> bool:
    """Whether the file has pages or frames behind the first one, which `pixels` shows."""
    if isinstance(self._image, np.ndarray):
      return False
    return further_pages.has_further_pages(self._content, self._image.format or '')

  def is_nearly_black(self, pixels: np.ndarray) -> bool:
    """Whether an image that is not black has no value above 16 of 255.

    Samples of 12 bits or less in a file of 16 bits give such images.

    Args:
      pixels: the result of `pixels`.
    """
    largest = pixels.max(initial=0)
    if largest > _NEARLY_BLACK:
      return False
    try:
      return bool(largest or self._stored.any())
    except UnreadableImageError:
      return False

  def pixels(self) -> np.ndarray:
    """The pixels, [height, width, 3] uint8 RGB.

    Raises:
      UnreadableImageError: the pixels cannot be converted to 8 bits.
    """
    if isinstance(self._image, np.ndarray):
      return self._upright(rgb_pixels.from_samples(self._image))
    image = rgb_pixels.to_rgb(self._image, self._image.format or '', self._content)
    return np.asarray(exif.turned_upright(image, self._orientation) if self.turned else image)

  def samples(self, sample_format: SampleFormat = RGB) -> np.ndarray:
    """The pixels for a model, [height, width, channels] uint8 or uint16.

    Args:
      sample_format: channels and depth that the model reads. For RGB of 8 bits, these are `pixels`;
        for others, the samples as they are stored.

    Raises:
      UnreadableImageError: the file has another number of channels or another depth, or cannot be
        converted to RGB of 8 bits.
    """
    if sample_format.is_rgb:
      return self.pixels()
    if self.sample_format != sample_format:
      raise UnreadableImageError(
        'The image has other channels or another depth',
        expected=str(sample_format),
        got=str(self.sample_format),
        likely_cause='an image of another kind than those that the model was made for',
      )
    return self._upright(self._stored)

  def encoded(self, may_keep: bool = True, sample_format: SampleFormat = RGB) -> EncodedImage:
    """The image as a file: the one that was read if possible, otherwise one of the pixels.

    Args:
      may_keep: whether the file that was read may be used.
      sample_format: channels and depth of the pixels; see `samples`.

    Raises:
      UnreadableImageError: as for `samples`.
    """
    kept_format = self._kept_format(sample_format) if may_keep else None
    if kept_format:
      content, name = self._content, kept_format
    else:
      content, name = _encode(self.samples(sample_format))
    return EncodedImage(content, name, *self.size, kept_format is None, sample_format)

  @functools.cached_property
  def _stored(self) -> np.ndarray:
    """The samples as stored, [height, width, channels]."""
    if isinstance(self._image, np.ndarray):
      return self._image
    return stored_samples.samples_of(self._image, self._image.format or '', self._content)

  def _upright(self, samples: np.ndarray) -> np.ndarray:
    return exif.upright_samples(samples, self._orientation) if self.turned else samples

  def _kept_format(self, sample_format: SampleFormat) -> str | None:
    """Format of the file that was read if it is a JPEG or PNG of just these pixels, else None."""
    if isinstance(self._image, np.ndarray) or self.turned:
      return None
    name = self._image.format or ''
    if not sample_format.is_rgb:
      is_gray_jpeg = name == 'JPEG' and self._image.mode == 'L'
      found = SampleFormat(1, 8) if is_gray_jpeg else png_file.plain_format(self._content)
      return _KEPT_FORMATS.get(name) if found == sample_format else None
    is_deep = rgb_pixels.is_deep_color(self._image, name, self._content)
    is_exact = self._image.mode == 'RGB' and not is_deep
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
    UnreadableImageError: the file is empty, damaged or not an image, or it has more pixels than
      `image_limits` allows, in which case it is not decoded.
    OSError: the file cannot be opened.
  """
  content = _read_bytes(source)
  path = None if isinstance(source, bytes) else os.fspath(source)
  image, orientation = decoding.decode(content)
  told = _upright_by_size(decoding.stored_size(image), orientation, annotated_hw)
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
    with open(path, 'rb') as file, without_warnings():
      image = decoding.open_image(file)
      orientation = exif.orientation_of(image)
      return _upright_by_size(_stored_size(image, orientation), orientation, annotated_hw)
  except (UnreadableImageError, *decoding.UNREADABLE):
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
  """An image without a file.

  Args:
    pixels: [height, width, 3] uint8 RGB, or [height, width, channels] uint8 or uint16.
  """
  is_rgb = SampleFormat(pixels.shape[2], 8 * pixels.itemsize).is_rgb
  return SourceImage(Image.fromarray(pixels) if is_rgb else pixels, b'')


def read_label_map(path: str | os.PathLike | bytes) -> np.ndarray:
  """Labels of a PNG file or of its bytes, [height, width] of any integer type.

  Labels are the stored samples: indices of a palette are not resolved, and gray values of 1, 2 and
  4 bits are not scaled to 8 bits.

  Raises:
    UnreadableImageError: the file is not an image, or it has more than one channel.
    OSError: the file cannot be opened.
  """
  content = _read_bytes(path)
  image, _ = decoding.decode_picture(content)
  if image.mode not in _LABEL_MODES:
    raise UnreadableImageError(
      'The label map has the wrong channels', expected='one channel', got=f'mode {image.mode}'
    )
  labels = np.asarray(image)
  return labels.astype(np.uint8) if image.mode == '1' else labels // _gray_scale(image, content)


def _gray_scale(image: Image.Image, content: bytes) -> int:
  """Factor by which Pillow scales the samples of a gray PNG of fewer than 8 bits; else 1."""
  if image.format != 'PNG' or content[png_file.COLOR_TYPE_BYTE] != 0:
    return 1
  return 255 // (2 ** min(content[png_file.BIT_DEPTH_BYTE], 8) - 1)


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


def _encode(samples: np.ndarray) -> tuple[bytes, str]:
  """The content of a file of [height, width, channels], and the name of its format."""
  if SampleFormat(samples.shape[2], 8 * samples.itemsize).is_rgb:
    return encode_png(samples), 'png'
  if samples.shape[2] > png_file.MAX_CHANNELS:
    return npy_file.write(samples), 'npy'
  return png_file.write(samples), 'png'


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
