"""Masks of an image as two label maps."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging

from htc_tf import files
from htc_tf.data import mask_runs
from htc_tf.data.mask_runs import Runs
from htc_tf.data.pixel_box import Box
from htc_tf.data.png_rows import GrayRows
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.input_files import CLASSES_SUFFIX
from htc_tf.serving.outputs.base import FilesOfImages

FOLDER = 'masks'
_MAX_OF_8_BITS, _MAX_OF_16_BITS = 255, 65535
_BAND_PIXELS = 2**22  # Pixels that are painted together.


class IndexMasks(FilesOfImages):
  """`masks/<stem>.png` with numbers of objects, and `masks/<stem>_classes.png` with classes.

  0 is the background. Object n is the n-th detection, best score first; where objects overlap, the
  one with the better score is seen. A map has 8 bits, or 16 if there are more than 255 numbers.
  Objects behind the first 65,535 are left out, which the log says. Maps are painted in bands of
  rows, so that those of large images need little memory.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, FOLDER)

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Write the maps of an image; see `Output.write`.

    Raises:
      InputError: the model has no masks.
    """
    masks = list(image.each_runs())
    if len(masks) > _MAX_OF_16_BITS:
      logging.warning(
        'The label map of %s has the %d best of %d objects: a PNG file can number no more; '
        'a higher --score_threshold leaves fewer',
        *(image.path or stem, _MAX_OF_16_BITS, len(masks)),
      )
      masks = masks[:_MAX_OF_16_BITS]
    os.makedirs(self._folder, exist_ok=True)
    of_object = np.concatenate([[0], image.classes]).astype(np.uint16)
    names = (f'{stem}.png', f'{stem}{CLASSES_SUFFIX}.png')
    paths = [os.path.join(self._folder, name) for name in names]
    with (
      _gray_file(paths[0], image.size, len(masks)) as objects,
      _gray_file(paths[1], image.size, int(of_object.max())) as classes,
    ):
      for band in _bands(masks, image.size):
        objects.append(band)
        classes.append(of_object[band])
    return len(paths)


@contextlib.contextmanager
def _gray_file(path: str, image_hw: tuple[int, int], largest: int) -> Iterator[GrayRows]:
  """A PNG file for numbers up to `largest`, which is written completely or not at all."""
  bits = 8 if largest <= _MAX_OF_8_BITS else 16
  with files.replaced_when_written(path) as temporary, open(temporary, 'wb') as stream:
    rows = GrayRows(stream, *image_hw, bits)
    yield rows
    rows.finish()


def _bands(masks: Sequence[Runs], image_hw: tuple[int, int]) -> Iterator[np.ndarray]:
  """The label map of masks in bands of rows, [rows, width] uint16; earlier masks are on top."""
  height, width = image_hw
  step = max(1, _BAND_PIXELS // width)
  boxes = np.array([runs.box for runs in masks], np.int64).reshape(-1, 4)
  for top in range(0, height, step):
    bottom = min(top + step, height)
    labels = np.zeros([bottom - top, width], np.uint16)
    for index in np.flatnonzero((boxes[:, 0] < bottom) & (boxes[:, 2] > top))[::-1]:
      window = mask_runs.to_window(masks[index].inside(Box(top, 0, bottom, width)))
      rows, columns = window.bitmap.shape
      first = window.top - top
      part = labels[first : first + rows, window.left : window.left + columns]
      part[window.bitmap] = index + 1
    yield labels
