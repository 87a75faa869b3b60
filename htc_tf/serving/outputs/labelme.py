"""Files of LabelMe 5, in which detections can be corrected."""

import json
import os
from typing import Any

from htc_tf import files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.outputs.outlines import outlines_of

_VERSION = '5.5.0'


class LabelMe:
  """`labelme/<stem>.json`: polygons, or rectangles if the model has no masks.

  The parts of an object have one `group_id`. LabelMe has no holes: they are filled, and the
  description of the object says so, beside its score.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'labelme')

  def write(self, image: DetectedImage, stem: str) -> int:
    """Write the file of an image; see `Output.write`."""
    os.makedirs(self._folder, exist_ok=True)
    path = image.path or f'{stem}.png'
    height, width = image.size
    content: dict[str, Any] = {
      'version': _VERSION,
      'flags': {},
      'shapes': _shapes(image),
      'imagePath': os.path.relpath(path, self._folder),
      'imageData': None,
      'imageHeight': height,
      'imageWidth': width,
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    files.write_bytes(os.path.join(self._folder, f'{stem}.json'), text.encode())
    return 1

  def close(self) -> int:
    """Nothing is of all images."""
    return 0


def _shapes(image: DetectedImage) -> list[dict[str, Any]]:
  shapes = []
  for number, (name, score) in enumerate(zip(image.names, image.scores), 1):
    description = f'score {score:.3f}'
    if image.masks is None:
      top, left, bottom, right = (float(value) for value in image.boxes[number - 1])
      shapes.append(_shape(name, 'rectangle', [[left, top], [right, bottom]], None, description))
      continue
    found = outlines_of(image.masks[number - 1])
    if found.num_holes:
      description += f', holes that are filled: {found.num_holes}'
    group = number if len(found.polygons) > 1 else None
    for polygon in found.polygons:
      shapes.append(_shape(name, 'polygon', polygon.tolist(), group, description))
  return shapes


def _shape(
  label: str, kind: str, points: list[list[float]], group: int | None, description: str
) -> dict[str, Any]:
  return {
    'label': label,
    'points': points,
    'group_id': group,
    'description': description,
    'shape_type': kind,
    'flags': {},
    'mask': None,
  }
