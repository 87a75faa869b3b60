"""Masks of objects as bitmaps of their surroundings, as far as these fit into memory."""

from collections.abc import Iterator

from absl import logging

from htc_tf.data import image_limits, mask_runs
from htc_tf.data.mask_windows import Window
from htc_tf.serving.detected_image import DetectedImage


def each_window(image: DetectedImage, purpose: str) -> Iterator[Window | None]:
  """The mask of each detection; None if its box has more pixels than an image may have.

  Such objects, which only images that are read in tiles can have, are named in the log.

  Args:
    image: the image.
    purpose: what such an object does not have, for the log.

  Raises:
    InputError: the model has no masks.
  """
  for number, runs in enumerate(image.each_runs(), 1):
    box = runs.box
    if box.height * box.width <= image_limits.MAX_PIXELS:
      yield mask_runs.to_window(runs)
      continue
    logging.warning(
      'Object %d of %s has no %s: its box of %d x %d has more than %d pixels',
      *(number, image.path, purpose, box.width, box.height, image_limits.MAX_PIXELS),
    )
    yield None
