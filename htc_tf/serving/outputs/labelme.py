"""Files of LabelMe 5, in which detections can be corrected."""

import json
import os
from typing import Any

from htc_tf import files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.outputs.base import FilesOfImages
from htc_tf.serving.outputs.object_windows import each_window
from htc_tf.serving.outputs.outlines import outlines_in

FOLDER = 'labelme'
_VERSION = '5.5.0'


class LabelMe(FilesOfImages):
  """`labelme/<stem>.json`: polygons, or rectangles if the model has no masks.

  The parts of an object have one `group_id`. LabelMe has no holes: they are filled, and the
  description of the object says so, beside its score.

  Args:
    folder: the output folder.
  """

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, FOLDER)

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Write the file of an image; see `Output.write`."""
    os.makedirs(self._folder, exist_ok=True)
    path = image.path or f'{stem}.png'
    height, width = image.size
    content: dict[str, Any] = {
      'version': _VERSION,
      'flags': {},
      'shapes': _shapes(image),
      # The way up from a folder behind a link is that of the folder it leads to.
      'imagePath': os.path.relpath(path, os.path.realpath(self._folder)),
      'imageData': None,
      'imageHeight': height,
      'imageWidth': width,
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    files.write_bytes(os.path.join(self._folder, f'{stem}.json'), text.encode())
    return 1


def _shapes(image: DetectedImage) -> list[dict[str, Any]]:
  descriptions = [f'score {score:.3f}' for score in image.scores]
  if not image.has_masks:
    return [
      _shape(name, 'rectangle', box.astype(float).reshape(2, 2).tolist(), None, description)
      for name, box, description in zip(image.names, image.boxes_xyxy, descriptions)
    ]
  shapes = []
  for number, window in enumerate(each_window(image, 'polygon'), 1):
    if window is None:
      continue
    found, description = outlines_in(window), descriptions[number - 1]
    if found.num_holes:
      description += f', holes that are filled: {found.num_holes}'
    group = number if len(found.polygons) > 1 else None
    for polygon in found.polygons:
      shapes.append(
        _shape(image.names[number - 1], 'polygon', polygon.tolist(), group, description)
      )
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
