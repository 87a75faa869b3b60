"""Channels and depth of the images of a conversion that keeps them (`--channels=keep`)."""

from collections.abc import Sequence
from typing import Any

from htc_tf.data import image_paths, images, tiles
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import DataError


def choose(entries: Sequence[dict[str, Any]], image_folder: str) -> SampleFormat | None:
  """The channels and the depth that all images must have: those of the first readable one.

  Args:
    entries: image entries.
    image_folder: folder that their file names are relative to.

  Returns:
    None if no image can be read.
  """
  for entry in entries:
    path = image_paths.path_inside(image_folder, tiles.file_name(entry))
    try:
      return images.read_image(path).sample_format
    except (images.UnreadableImageError, OSError):
      continue
  return None


def other_format(path: str, found: SampleFormat, expected: SampleFormat) -> DataError:
  """The error for an image whose channels or depth are not those of the data set.

  Args:
    path: path of the image.
    found: its channels and depth.
    expected: those of the data set.
  """
  return DataError(
    f'{path} has other channels or another depth than the images before',
    expected=f'{expected}, as the first image has them',
    got=str(found),
    likely_cause='images of several kinds in one data set, such as gray and RGB; '
    '--skip_missing_images drops those unlike the first one, and --channels=rgb converts all',
  )
