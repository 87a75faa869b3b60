"""Drawing of the detections of a model on their image."""

from collections.abc import Sequence

import numpy as np

from htc_tf.serving.instances import Instances
from htc_tf.visualization import draw


def draw_detections(
  pixels: np.ndarray, instances: Instances, names: Sequence[str], score_threshold: float
) -> np.ndarray:
  """The image, enlarged if small, with the instances drawn over it.

  Args:
    pixels: [height, width, 3] uint8 RGB.
    instances: detections in the pixels of the image.
    names: names of the classes, class 1 first; if empty, `class 1`, `class 2`, ... are used.
    score_threshold: instances with a lower score are not drawn.

  Returns:
    [height, width, 3] uint8 RGB, both sides times `draw.legible_enlargement`.
  """
  shown = np.flatnonzero(instances.scores >= score_threshold)
  num_labels = int(instances.classes.max(initial=1))
  names = names or [f'class {label}' for label in range(1, num_labels + 1)]
  rles = None if instances.rles is None else [instances.rles[index] for index in shown]
  return draw.draw_instances(
    pixels,
    instances.boxes[shown],
    rles,
    instances.classes[shown],
    instances.scores[shown],
    names,
    enlarge=draw.legible_enlargement(pixels.shape[:2]),
  )
