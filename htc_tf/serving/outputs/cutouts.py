"""Each object on its own, on a transparent ground."""

import os
import re

import numpy as np

from htc_tf import files
from htc_tf.data import images as image_files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.visualization import display


class Cutouts:
  """`cutouts/<stem>_<number>_<class>.png`: the pixels of a mask, and transparent ones around it.

  Objects without a pixel have no file.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'cutouts')

  def write(self, image: DetectedImage, stem: str) -> int:
    """Write the objects of an image; see `Output.write`.

    Raises:
      InputError: the model has no masks.
    """
    os.makedirs(self._folder, exist_ok=True)
    pixels, count = display.displayed_rgb(image.pixels), 0
    for number, (mask, name) in enumerate(zip(image.each_mask(), image.names), 1):
      rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
      if not len(rows):
        continue
      part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
      alpha = mask[part].astype(np.uint8)[..., np.newaxis] * 255
      content = np.concatenate([pixels[part] * (alpha > 0), alpha], axis=-1)
      safe = re.sub(r'[^\w-]+', '_', name)
      path = os.path.join(self._folder, f'{stem}_{number:03d}_{safe}.png')
      files.write_bytes(path, image_files.encode_png(content))
      count += 1
    return count

  def close(self) -> int:
    """Nothing is of all images."""
    return 0
