"""Drawing of the objects of a frame."""

from collections.abc import Sequence

import numpy as np

from htc_tf.serving.detected_image import DetectedImage
from htc_tf.visualization import draw, palette


def draw_frame(image: DetectedImage, ids: Sequence[int] | None) -> np.ndarray:
  """A frame with its objects, [height, width, 3] uint8 RGB; frames are not enlarged.

  Args:
    image: the frame and its objects.
    ids: number of the track of each object, which is written beside its name and determines its
      color; None without tracks.
  """
  names = list(image.names)
  if ids is not None:
    names = [f'#{id_} {name}' for name, id_ in zip(names, ids)]
  colors = [palette.instance_color(index) for index in (range(len(names)) if ids is None else ids)]
  # Every object has a name of its own, and the numbers of these names in the place of classes.
  rows = np.arange(1, len(names) + 1)
  return draw.draw_instances(
    image.pixels, image.boxes, image.instances.rles, rows, image.scores, names, colors=colors
  )
