"""Files of stuff maps and panoptic maps."""

import os
from typing import Any

from htc_tf.data import image_paths, tiles


def map_path(folder: str, file_name: str) -> str:
  """Path of the stuff map of an image: the name of the image with the suffix .png."""
  return image_paths.path_inside(folder, os.path.splitext(file_name)[0] + '.png')


def path_of(folder: str, entry: dict[str, Any]) -> str:
  """Path of the map of an image entry, which may be a tile: its panoptic map, or its stuff map."""
  if 'panoptic' in entry:
    return image_paths.path_inside(folder, entry['panoptic']['file_name'])
  return map_path(folder, tiles.file_name(entry))
