"""Images for reports, from records or from a folder of image files."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from htc_tf import file_systems
from htc_tf.data import image_paths, images
from htc_tf.data.images import SourceImage, UnreadableImageError
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import DataError
from htc_tf.visualization import display

_MAX_OF_PICTURE = 4  # RGB and alpha.
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
      image = images.read_image(path, annotated_hw=size)
      _add(found, entry, image, _format_of_file(image.sample_format))
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
        image = images.read_image(content, upright=False)
        _add(found, entry, image, _recorded_format(features))
      except UnreadableImageError as error:
        logging.warning('%s cannot be shown: %s', entry.get('file_name'), error)
    if len(found) == len(wanted):
      break
  return found


def _format_of_file(found: SampleFormat) -> SampleFormat:
  """Channels and depth to read of a file; up to four channels of 8 bits are those of a picture."""
  return RGB if found.bits == RGB.bits and found.num_channels <= _MAX_OF_PICTURE else found


def _recorded_format(features: Mapping[str, Any]) -> SampleFormat:
  """Channels and depth that a record names; those of RGB images of 8 bits name none."""
  channels, bits = (
    next(iter(features[key].int64_list.value), default)
    for key, default in (('image/channels', RGB.num_channels), ('image/bits', RGB.bits))
  )
  return SampleFormat(channels, bits)


def _add(
  found: dict[int, np.ndarray],
  entry: Mapping[str, Any],
  image: SourceImage,
  sample_format: SampleFormat,
) -> None:
  """Add the pixels of an image of a format if it has the size of its annotations."""
  if image.size == (entry['height'], entry['width']) or entry.get('size_unknown'):
    found[entry['id']] = _shown(image, sample_format)
  else:
    logging.warning(
      '%s cannot be shown: it has %s pixels, its annotations %s',
      entry.get('file_name'),
      image.size,
      (entry['height'], entry['width']),
    )


def _shown(image: SourceImage, sample_format: SampleFormat) -> np.ndarray:
  """The pixels [height, width, 3] uint8 RGB of an image that a screen shows."""
  if sample_format.is_rgb:
    return image.pixels()
  return display.displayed_rgb(image.samples(sample_format))
