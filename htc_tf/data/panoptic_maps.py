"""Panoptic maps: PNG files whose colors are the numbers of segments, R + 256 G + 65536 B."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from htc_tf.data.images import IGNORED_LABEL, MAX_PIXELS
from htc_tf.data.pillow_warnings import without_warnings
from htc_tf.data.rgb_pixels import UnreadableImageError


def read(path: str) -> np.ndarray:
  """Numbers of the segments, [height, width] int64; 0 belongs to none.

  Raises:
    UnreadableImageError: the file is no image of three channels, or too large.
    OSError: the file cannot be opened.
  """
  with open(path, 'rb') as file, without_warnings():
    try:
      image = Image.open(file)
      if image.mode not in ('RGB', 'RGBA') or image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(
          'The file is no panoptic map',
          expected=f'a PNG of three channels and at most {MAX_PIXELS} pixels',
          got=f'{image.mode}, {image.width}x{image.height}',
        )
      channels = np.asarray(image).astype(np.int64)
    except (SyntaxError, ValueError, Image.DecompressionBombError, EOFError) as error:
      if isinstance(error, UnreadableImageError):
        raise
      raise UnreadableImageError('The panoptic map cannot be decoded', got=str(error)) from error
  return channels[..., 0] + 256 * channels[..., 1] + 65536 * channels[..., 2]  # [height, width]


def labels_of(segments: np.ndarray, labels: Mapping[str, int]) -> np.ndarray:
  """The semantic map of a panoptic map, [height, width] uint8; unlisted segments are ignored.

  Args:
    segments: result of `read`.
    labels: semantic label by the number of the segment, as text.
  """
  numbers, inverse = np.unique(segments, return_inverse=True)
  of_number = [labels.get(str(number), IGNORED_LABEL) for number in numbers.tolist()]
  return np.array(of_number, np.uint8)[inverse].reshape(segments.shape)
