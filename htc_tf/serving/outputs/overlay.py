"""Pictures with the detections drawn over them."""

import os

from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.outputs.base import FilesOfImages
from htc_tf.visualization import panels


class Overlay(FilesOfImages):
  """`<stem>.png` in the output folder.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = folder

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Write the picture of an image; see `Output.write`."""
    panels.write_image(os.path.join(self._folder, f'{stem}.png'), image.draw(0.0))
    return 1
