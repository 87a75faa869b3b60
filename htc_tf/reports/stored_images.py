"""Records as they are stored."""

import numpy as np
import tensorflow as tf

from htc_tf.data import example_decoder
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.example_decoder import ExampleDecoder
from htc_tf.errors import DataError
from htc_tf.reports import labeled_image
from htc_tf.reports.labeled_image import LabeledImage
from htc_tf.visualization import display


def stored_image(
  record: bytes, info: DatasetInfo, side: int
) -> tuple[LabeledImage, tuple[int, int]]:
  """The image and the ground truth of a record, fitted to a side, and the stored height and width.

  Args:
    record: serialized record.
    info: metadata of the records, which says whether they hold masks and semantic maps.
    side: longer side of the result in pixels.

  Raises:
    DataError: the record cannot be decoded.
  """
  decoder = ExampleDecoder(info.include_masks, bool(info.semantic), info.sample_format)
  try:
    decoded = decoder.decode(tf.constant(record))
    return _fitted(decoded, side), tuple(decoded['image'].shape[:2])
  except tf.errors.InvalidArgumentError as error:
    raise DataError(
      'A record cannot be shown',
      expected='the data that its metadata promises',
      got=error.message.splitlines()[0],
      likely_cause='records and metadata of two conversions: convert the data set again',
    ) from error


def _fitted(decoded: dict[str, tf.Tensor], side: int) -> LabeledImage:
  """The labeled image of a decoded record, fitted to a side."""
  pixels = display.displayed_rgb(decoded['image'].numpy())
  height, width = pixels.shape[:2]
  fitted = labeled_image.fitted(
    LabeledImage(
      pixels,
      boxes=decoded['boxes_normalized'].numpy() * np.array([height, width] * 2, np.float64),
      classes=decoded['classes'].numpy(),
      is_crowd=decoded['is_crowd'].numpy(),
      semantic=decoded['semantic'].numpy() if 'semantic' in decoded else None,
    ),
    side,
  )
  if 'masks_png' not in decoded:
    return fitted
  # Masks of large images are decoded one at a time, because all of them may need gigabytes.
  masks = (example_decoder.decode_label_png(mask).numpy() for mask in decoded['masks_png'])
  size = (fitted.pixels.shape[1], fitted.pixels.shape[0])
  return fitted._replace(masks=labeled_image.encoded_masks(masks, size))
