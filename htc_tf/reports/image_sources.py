"""Images for reports, from records or from a folder of image files."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from htc_tf import file_systems
from htc_tf.data import image_paths, images
from htc_tf.data.images import SourceImage, UnreadableImageError
from htc_tf.errors import DataError

_Entries = Sequence[Mapping[str, Any]]


def read_from_folder(folder: str, entries: _Entries) -> dict[int, np.ndarray]:
  """The pixels of images in a folder by image id; images that cannot be read are logged.

  Args:
    folder: folder that the file names are relative to.
    entries: image entries of the annotations.
  """
  found: dict[int, np.ndarray] = {}
  for entry in entries:
    size = (entry['height'], entry['width'])
    try:
      path = image_paths.path_inside(folder, entry['file_name'])
      _add(found, entry, images.read_image(path, annotated_hw=size))
    except (DataError, OSError) as error:
      logging.warning('%s cannot be shown: %s', entry.get('file_name'), error)
  return found


def read_from_records(input_path: str, entries: _Entries) -> dict[int, np.ndarray]:
  """The pixels of images in records by image id; images that cannot be read are logged.

  Args:
    input_path: patterns of the records, separated by commas.
    entries: image entries of the annotations.
  """
  import tensorflow as tf

  wanted = {str(entry['id']).encode(): entry for entry in entries}
  found: dict[int, np.ndarray] = {}
  patterns = [pattern.strip() for pattern in input_path.split(',')]
  shards = sorted(path for pattern in patterns for path in file_systems.glob(pattern))
  dataset = tf.data.TFRecordDataset(shards).ignore_errors()
  for record in dataset.as_numpy_iterator():
    features = tf.train.Example.FromString(record).features.feature
    entry = wanted.get(b''.join(features['image/source_id'].bytes_list.value))
    if entry is not None:
      content = b''.join(features['image/encoded'].bytes_list.value)
      try:
        _add(found, entry, images.read_image(content, upright=False))
      except UnreadableImageError as error:
        logging.warning('%s cannot be shown: %s', entry.get('file_name'), error)
    if len(found) == len(wanted):
      break
  return found


def _add(found: dict[int, np.ndarray], entry: Mapping[str, Any], image: SourceImage) -> None:
  """Add the pixels of an image if it has the size of its annotations."""
  if image.size == (entry['height'], entry['width']) or entry.get('size_unknown'):
    found[entry['id']] = image.pixels()
  else:
    logging.warning(
      '%s cannot be shown: it has %s pixels, its annotations %s',
      entry.get('file_name'),
      image.size,
      (entry['height'], entry['width']),
    )
