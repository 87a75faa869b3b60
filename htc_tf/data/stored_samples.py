"""The samples of a decoded image with the channels and the depth that its file has.

Palettes are resolved, and inks become the light that they leave; both have three channels of 8
bits. Bits below 8 are scaled to 8. All other samples are as they are stored, alpha included.
"""

import numpy as np
from PIL import Image

from htc_tf.data import png_file, rgb_pixels, tiff_pages, tiff_samples
from htc_tf.data.rgb_pixels import UnreadableImageError

_PLAIN_MODES = ('L', 'LA', 'RGB', 'RGBA')


def samples_of(image: Image.Image, file_format: str, content: bytes) -> np.ndarray:
  """The samples, [height, width, channels] uint8 or uint16, not turned upright.

  Args:
    image: the decoded image, as stored.
    file_format: Pillow's name of the format of the file; empty for pixels without a file.
    content: content of the file.

  Raises:
    UnreadableImageError: the samples are no integers of up to 16 bits, or there are too many.
  """
  samples = tiff_samples.read_samples(content) if file_format == 'TIFF' else None
  if samples is not None:
    return samples
  if image.mode in rgb_pixels.GRAY_MODES:
    return _with_channels(rgb_pixels.deep_gray(image, file_format, content).astype(np.uint16))
  if file_format == 'PNG' and rgb_pixels.is_deep_color(image, file_format, content):
    return _deep_png(content)
  if image.mode == '1':
    image = image.convert('L')
  if image.mode not in _PLAIN_MODES:
    image = rgb_pixels.to_rgb(image, file_format, content)
  return _with_channels(np.asarray(image))


def is_reduced(image: Image.Image, file_format: str, content: bytes) -> bool:
  """Whether `rgb_pixels.to_rgb` drops channels or bits of an image.

  Args:
    image: the decoded image, as stored.
    file_format: Pillow's name of the format of the file; empty for pixels without a file.
    content: content of the file.
  """
  if image.mode in (*rgb_pixels.GRAY_MODES, 'LA', 'La', 'PA', 'RGBA', 'RGBa'):
    return True
  if rgb_pixels.is_deep_color(image, file_format, content):
    return True
  return file_format == 'TIFF' and _has_further_pages(content)


def _has_further_pages(content: bytes) -> bool:
  """Whether a TIFF file has channels in pages behind the first one, which RGB pixels lack."""
  try:
    return len(tiff_pages.read_pages(content)) > 1
  except UnreadableImageError:
    return True


def _deep_png(content: bytes) -> np.ndarray:
  """Samples of a color PNG of 16 bits, which Pillow would shorten."""
  samples = rgb_pixels.decode_samples(content)
  stored = png_file.plain_format(content)
  if samples is None or stored is None or samples.dtype != np.uint16 or samples.ndim != 3:
    raise UnreadableImageError(
      'The colors of 16 bits cannot be decoded', likely_cause='a truncated file'
    )
  # OpenCV has blue first, and repeats gray three times before its alpha.
  order = {2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[stored.num_channels]
  return np.ascontiguousarray(samples[..., order])


def _with_channels(samples: np.ndarray) -> np.ndarray:
  return samples if samples.ndim == 3 else samples[..., np.newaxis]
