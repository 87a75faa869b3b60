"""A table of measurements of every object."""

import csv
import io
import math
import os
from collections.abc import Sequence

import cv2
import numpy as np

from htc_tf.data import mask_runs, mask_windows
from htc_tf.data.mask_runs import Runs
from htc_tf.data.pixel_box import Box
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.outputs.base import GrowingFile
from htc_tf.serving.outputs.object_windows import by_place

FILE = 'measurements.csv'
_BAND_PIXELS = 2**22  # Pixels of an object that are in memory together.
_COLUMNS = (
  *('image', 'object', 'class', 'score', 'xmin', 'ymin', 'width', 'height'),
  *('area', 'perimeter', 'centroid_x', 'centroid_y', 'equivalent_diameter'),
)
_RGB_CHANNELS = ('red', 'green', 'blue')
# A border pixel counts by the directions of its border neighbors (see `perimeter_of`): the numbers
# are sums of 1 for the pixel, 2 for each neighbor in a row or column and 10 for each diagonal one.
_NEIGHBORS = np.array([[10, 2, 10], [2, 1, 2], [10, 2, 10]], np.float32)
_LENGTHS = {
  **dict.fromkeys((5, 7, 15, 17, 25, 27), 1.0),
  **dict.fromkeys((21, 33), math.sqrt(2)),
  **dict.fromkeys((13, 23), (1 + math.sqrt(2)) / 2),
}


class Measurements:
  """`measurements.csv`: a line for each object, in pixels of the image.

  The columns are the image, the number of the object (best score first), class, score, the box, and
  with masks: area (number of pixels), perimeter (`perimeter_of`), centroid (x and y of the mean
  pixel center, where the center of the first pixel is 0.5), diameter of the circle with this area,
  and the mean of each channel inside the mask, of the pixels as the model reads them: a model of
  RGB reads files of 16 bits as 8 bits, one of 16 bits as they are.

  Args:
    folder: the output folder.
    sample_format: channels of the images.
  """

  def __init__(self, folder: str, sample_format: SampleFormat = RGB):
    self._file = GrowingFile(os.path.join(folder, FILE))
    channels = _RGB_CHANNELS if sample_format.is_rgb else range(1, sample_format.num_channels + 1)
    self._header = (*_COLUMNS, *(f'mean_{channel}' for channel in channels))

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Append the objects of an image; see `Output.write`."""
    name = name or (os.path.basename(image.path) if image.path else stem)
    masks: list[Runs | None] = [None] * len(image)
    if image.has_masks:
      masks = list(image.each_runs())
    names = image.names
    measured = {
      row: [names[row], *_measured(image, row, masks[row], len(self._header) - 3)]
      for row in by_place(image)
    }
    for row in range(len(image)):
      self._file.append(_line([name, row + 1, *measured[row]]))
    return 0

  def close(self) -> int:
    """Write the table."""
    self._file.finish(_line(self._header), b'')
    return 1

  def discard(self) -> None:
    """Leave the file of an earlier run as it is."""
    self._file.remove()


def perimeter_of(mask: np.ndarray) -> float:
  """Length of the border of a mask in pixels.

  It is the length of the line through the centers of the border pixels (those with a neighbor in a
  row or column outside the mask), with the weights 1, sqrt(2) and (1 + sqrt(2)) / 2 by the
  directions of their neighbors on the border (Benkrid, Crookes and Benkrid 2000), as
  scikit-image's `regionprops` computes it.

  Args:
    mask: [height, width] bool.
  """
  return _border_length(np.pad(mask, 2))


def _border_length(surrounded: np.ndarray) -> float:
  """Length of the border in the middle of a mask, without the two outermost rows and columns."""
  inside = surrounded.astype(np.uint8)
  border = inside - cv2.erode(inside, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
  sums = cv2.filter2D(border.astype(np.float32), -1, _NEIGHBORS, borderType=cv2.BORDER_CONSTANT)
  numbers, counts = np.unique(sums[2:-2, 2:-2].round().astype(int), return_counts=True)
  return float(sum(_LENGTHS.get(number, 0.0) * count for number, count in zip(numbers, counts)))


def _measured(image: DetectedImage, row: int, runs: Runs | None, num_columns: int) -> list[str]:
  """The values of an object after its class; empty ones where there is no mask."""
  top, left, bottom, right = (float(value) for value in image.boxes[row])
  values = [f'{image.scores[row]:.4f}']
  values += [f'{value:.2f}' for value in (left, top, right - left, bottom - top)]
  area = 0 if runs is None else runs.area
  if runs is None or not area:
    values += [] if runs is None else ['0']
    return values + [''] * (num_columns - len(values))
  lengths = runs.bottoms - runs.tops
  perimeter, means = _in_bands(image, runs)
  return [
    *values,
    str(area),
    f'{perimeter:.2f}',
    f'{(runs.columns * lengths).sum() / area + 0.5:.2f}',
    f'{((runs.tops + runs.bottoms) * lengths).sum() / (2 * area):.2f}',
    f'{math.sqrt(4 * area / math.pi):.2f}',
    *(f'{mean:.2f}' for mean in means),
  ]


def _in_bands(image: DetectedImage, runs: Runs) -> tuple[float, np.ndarray]:
  """Length of the border, and mean of each channel, in bands of rows that need little memory."""
  box, perimeter = runs.box, 0.0
  sums = np.zeros(image.sample_format.num_channels)
  step = max(1, _BAND_PIXELS // box.width)
  for top in range(box.top, box.bottom, step):
    band = Box(top, box.left, min(top + step, box.bottom), box.right)
    surrounding = Box(band.top - 2, band.left - 2, band.bottom + 2, band.right + 2)
    mask = _bitmap(runs, surrounding)
    perimeter += _border_length(mask)
    sums += image.window(band)[mask[2:-2, 2:-2]].sum(axis=0, dtype=np.float64)
  return perimeter, sums / runs.area


def _bitmap(runs: Runs, box: Box) -> np.ndarray:
  """The mask in a rectangle, [height, width] bool; pixels outside the image are not in it."""
  window = mask_runs.to_window(runs.inside(box).moved(-box.top, -box.left))
  return mask_windows.placed(window, box.height, box.width)


def _line(values: Sequence[object]) -> bytes:
  buffer = io.StringIO()
  csv.writer(buffer, lineterminator='\n').writerow(values)
  return buffer.getvalue().encode(errors='surrogateescape')  # File names may have any bytes.
