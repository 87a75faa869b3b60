"""Masks of an image as two label maps."""

import os

import cv2
import numpy as np

from htc_tf import files
from htc_tf.serving.detected_image import DetectedImage

_MAX_OF_8_BITS = 255


class IndexMasks:
  """`masks/<stem>.png` with numbers of objects, and `masks/<stem>_classes.png` with classes.

  0 is the background. Object n is the n-th detection, best score first; where objects overlap, the
  one with the better score is seen. A map has 8 bits, or 16 if there are more than 255 numbers.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'masks')

  def write(self, image: DetectedImage, stem: str) -> int:
    """Write the maps of an image; see `Output.write`.

    Raises:
      InputError: the model has no masks.
    """
    os.makedirs(self._folder, exist_ok=True)
    objects = np.zeros(image.size, np.uint16)
    for number, mask in enumerate(image.each_mask(), 1):
      objects[mask & (objects == 0)] = number
    of_object = np.concatenate([[0], image.classes]).astype(np.uint16)
    for name, labels in ((f'{stem}.png', objects), (f'{stem}_classes.png', of_object[objects])):
      files.write_bytes(os.path.join(self._folder, name), _png(labels))
    return 2

  def close(self) -> int:
    """Nothing is of all images."""
    return 0


def _png(labels: np.ndarray) -> bytes:
  small = labels.max(initial=0) <= _MAX_OF_8_BITS
  return cv2.imencode('.png', labels.astype(np.uint8) if small else labels)[1].tobytes()
