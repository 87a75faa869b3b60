"""Reduced copies of large images and of their detections, for pictures of them as a whole."""

import numpy as np

from htc_tf.data import image_limits, mask_runs
from htc_tf.data.pixel_box import Box
from htc_tf.data.tiff_windows import TiffWindows
from htc_tf.errors import InputError
from htc_tf.serving.instances import Instances

MAX_SIDE = 4096
_ROWS = 256  # Rows that are read together.


def check_readable(image_hw: tuple[int, int]) -> None:
  """Raise InputError if an image that was read in tiles is too large to be read as a whole."""
  height, width = image_hw
  if height * width > image_limits.MAX_PIXELS:
    raise InputError(
      'The image is too large to be held in memory',
      expected=f'at most {image_limits.MAX_PIXELS} pixels',
      got=f'{width}x{height}',
      likely_cause='`pixels` of an image that was read in tiles: `window(box)` gives parts of it, '
      'and `draw()` a reduced picture',
    )


def factor_of(image_hw: tuple[int, int]) -> int:
  """The smallest integer factor by which the long side is reduced to at most `MAX_SIDE`."""
  return -(-max(image_hw) // MAX_SIDE)


def reduced_pixels(image: TiffWindows, factor: int) -> np.ndarray:
  """The means of squares of pixels, [height, width, channels] of the type of the image.

  The sides are rounded up; squares at the border may be smaller.

  Args:
    image: the image, which is read in bands of rows.
    factor: side of a square.
  """
  height, width = image.size
  rows = factor * max(1, _ROWS // factor)
  bands = [
    _means(image.read(Box(top, 0, min(top + rows, height), width)), factor)
    for top in range(0, height, rows)
  ]
  return np.concatenate(bands)


def reduced_instances(instances: Instances, factor: int, image_hw: tuple[int, int]) -> Instances:
  """Detections in the pixels of the reduced image.

  Args:
    instances: detections in the pixels of the image.
    factor: side of the square of pixels that become one.
    image_hw: height and width of the image.
  """
  if factor == 1:
    return instances
  reduced_hw = tuple(-(-side // factor) for side in image_hw)
  rles = instances.rles and [
    mask_runs.to_rle(mask_runs.reduced(mask_runs.of_rle(rle), factor), *reduced_hw)
    for rle in instances.rles
  ]
  return instances._replace(boxes=instances.boxes / factor, rles=rles)


def _means(band: np.ndarray, factor: int) -> np.ndarray:
  """The means of the squares of a band of rows."""
  height, width, channels = band.shape
  padded = np.pad(band, [(0, -height % factor), (0, -width % factor), (0, 0)], mode='edge')
  squares = padded.reshape(
    padded.shape[0] // factor, factor, padded.shape[1] // factor, factor, channels
  )
  return np.rint(squares.mean(axis=(1, 3), dtype=np.float32)).astype(band.dtype)
