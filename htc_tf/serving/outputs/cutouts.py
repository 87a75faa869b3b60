"""Each object on its own, on a transparent ground."""

import os
import re

import numpy as np
from absl import logging

from htc_tf import files
from htc_tf.data import images as image_files
from htc_tf.data.pixel_box import Box
from htc_tf.serving import input_files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.outputs.base import FilesOfImages
from htc_tf.serving.outputs.object_windows import by_place, window_of

FOLDER = 'cutouts'
# File systems allow 255 bytes, of which the suffix and the temporary name need some. Names of
# classes have any length.
_MAX_STEM = 230


class Cutouts(FilesOfImages):
  """`cutouts/<stem>_<number>_<class>.png`: the pixels of a mask, and transparent ones around it.

  Objects without a pixel have no file, and those of images that were read in tiles have none if
  their box is larger than an image may be, which the log says. So are, at the end, the files of
  earlier runs, which stay: their names cannot always be told from those of other images.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, FOLDER)
    self._written: set[str] = set()

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Write the objects of an image; see `Output.write`.

    Raises:
      InputError: the model has no masks.
    """
    os.makedirs(self._folder, exist_ok=True)
    count, masks, labels = 0, list(image.each_runs()), image.names
    for index in by_place(image):
      number = index + 1
      window = window_of(masks[index], f'Object {number} of {image.path} has no cut-out')
      if window is None or not window.bitmap.size:
        continue
      height, width = window.bitmap.shape
      box = Box(window.top, window.left, window.top + height, window.left + width)
      alpha = window.bitmap.astype(np.uint8)[..., np.newaxis] * 255
      content = np.concatenate([image.shown_window(box) * (alpha > 0), alpha], axis=-1)
      safe = re.sub(r'[^\w-]+', '_', labels[index])
      own_stem = input_files.shortened(f'{stem}_{number:03d}_{safe}', _MAX_STEM)
      name = f'{own_stem}.png'
      files.write_bytes(os.path.join(self._folder, name), image_files.encode_png(content))
      self._written.add(name)
      count += 1
    return count

  def close(self) -> int:
    """Log how many files of earlier runs are in the folder."""
    others = set(os.listdir(self._folder)) - self._written if os.path.isdir(self._folder) else ()
    if others:
      logging.warning(
        '%s holds %d files of earlier runs, such as %s', self._folder, len(others), min(others)
      )
    return 0
