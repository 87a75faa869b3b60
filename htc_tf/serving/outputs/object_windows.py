"""Masks of objects as bitmaps of their surroundings, as far as these fit into memory."""

from collections.abc import Iterator

from absl import logging

from htc_tf.data import image_limits, mask_runs
from htc_tf.data.mask_runs import Runs, Window
from htc_tf.serving.detected_image import DetectedImage

_ROWS = 1024  # Objects that begin in as many rows are visited from left to right.


def each_window(image: DetectedImage, purpose: str) -> Iterator[Window | None]:
  """The mask of each detection; see `window_of`.

  Args:
    image: the image.
    purpose: what an object without a window does not have, for the log.

  Raises:
    InputError: the model has no masks.
  """
  for number, runs in enumerate(image.each_runs(), 1):
    yield window_of(runs, f'Object {number} of {image.path} has no {purpose}')


def window_of(runs: Runs, message: str) -> Window | None:
  """The mask of an object; None if its box has more pixels than an image may have.

  Only objects of images that are read in tiles can be so large.

  Args:
    runs: the mask.
    message: what the log says of such an object.
  """
  box = runs.box
  if box.height * box.width <= image_limits.MAX_PIXELS:
    return mask_runs.to_window(runs)
  logging.warning(
    '%s: its box of %d x %d has more than %d pixels',
    *(message, box.width, box.height, image_limits.MAX_PIXELS),
  )
  return None


def by_place(image: DetectedImage) -> list[int]:
  """Indices of the detections, from the top of the image to its bottom.

  In this order, the blocks of a large file are not decoded again for each object.
  """
  tops, lefts = image.boxes[:, 0] // _ROWS, image.boxes[:, 1]
  return sorted(range(len(image)), key=lambda index: (tops[index], lefts[index]))
