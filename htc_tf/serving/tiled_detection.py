"""Detection in an image tile by tile."""

import numbers
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from htc_tf.data import images as image_files
from htc_tf.data.images import SourceImage, UnreadableImageError
from htc_tf.data.pixel_box import Box
from htc_tf.data.sample_format import SampleFormat
from htc_tf.data.tiff_windows import TiffWindows
from htc_tf.errors import InputError
from htc_tf.serving.instances import Instances
from htc_tf.serving.tile_merging import merge_tiles
from htc_tf.serving.tiling import Tiling

# Function from images to the instances of each, or to an InputError if they could not be read.
Detect: TypeAlias = Callable[[Sequence[SourceImage]], Sequence[Instances | InputError]]
Picture: TypeAlias = SourceImage | TiffWindows


def check_batch_size(batch_size: int) -> None:
  """Raise InputError unless a batch has an image or a tile."""
  if not isinstance(batch_size, numbers.Integral) or batch_size < 1:
    raise InputError(
      'The batch size is out of range', expected='a whole number, 1 or more', got=repr(batch_size)
    )


def detect_pictures(
  detect: Detect,
  images: Sequence[Picture],
  sample_format: SampleFormat,
  tiling: Tiling | None,
  batch_size: int = 1,
  report: Callable[[int, int], object] = lambda done, total: None,
  class_agnostic: bool = False,
) -> list[Instances | InputError]:
  """The objects of each image: of a small one at once, of a large one tile by tile.

  Args:
    detect: the model.
    images: the images.
    sample_format: channels and depth of the images that the model reads.
    tiling: how images are cut; None to see each as a whole.
    batch_size: number of tiles per call of the model.
    report: see `detect_tiles`.
    class_agnostic: likewise.

  Returns:
    The detections of each image, or the error if the model could not read it.
  """
  whole = [image for image in images if isinstance(image, SourceImage) and not _cuts(tiling, image)]
  of_whole = iter(detect(whole) if whole else [])
  found: list[Instances | InputError] = []
  for image in images:
    if tiling is None or not _cuts(tiling, image):
      found.append(next(of_whole))
      continue
    try:
      found.append(
        detect_tiles(detect, image, sample_format, tiling, batch_size, report, class_agnostic)
      )
    except UnreadableImageError as error:
      found.append(InputError(f'{image.path} cannot be read: {error}'))
  return found


def _cuts(tiling: Tiling | None, image: Picture) -> bool:
  return tiling is not None and tiling.cuts(image.size)


def detect_tiles(
  detect: Detect,
  image: Picture,
  sample_format: SampleFormat,
  tiling: Tiling,
  batch_size: int = 1,
  report: Callable[[int, int], object] = lambda done, total: None,
  class_agnostic: bool = False,
) -> Instances | InputError:
  """The objects of an image, best score first, from the detections in its tiles.

  The tiles are detected in batches and read when their batch comes. Each has at most the
  `max_detections` of the model.

  Args:
    detect: the model.
    image: an image that is larger than a tile.
    sample_format: channels and depth of the images that the model reads.
    tiling: how the image is cut.
    batch_size: number of tiles per call of the model.
    report: function that receives the numbers of finished and of all tiles.
    class_agnostic: whether the NMS of the model acts across classes; then the merge of tiles does.

  Returns:
    The error if the model could not read a tile.

  Raises:
    UnreadableImageError: the image is damaged.
  """
  window, places = _window_of(image, sample_format), tiling.places(image.size)
  found: list[Instances] = []
  for start in range(0, len(places), batch_size):
    report(start, len(places))
    tiles = [window(place) for place in places[start : start + batch_size]]
    for instances in detect([image_files.image_from_pixels(tile) for tile in tiles]):
      if isinstance(instances, InputError):
        return instances
      found.append(instances)
  report(len(places), len(places))
  return merge_tiles(places, found, image.size, class_agnostic)


def _window_of(image: Picture, sample_format: SampleFormat) -> Callable[[Box], np.ndarray]:
  """A function from a window to its pixels."""
  if isinstance(image, TiffWindows):
    return image.read
  pixels = image.samples(sample_format)
  return lambda box: np.ascontiguousarray(box.crop(pixels))
