"""Detections of one image, read from the outputs of a model, an export or a server."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from htc_tf.data import mask_codec
from htc_tf.errors import InputError
from htc_tf.evaluation import mask_paste
from htc_tf.serving.export_format import ExportFormat


class Instances(NamedTuple):
  """Detections in the pixels of one image.

  Attributes:
    boxes: [num, 4] float32 yxyx.
    classes: [num] int, 1..num_classes-1.
    scores: [num] float32.
    rles: COCO run-length encoding of each mask; None if the model has no masks.
  """

  boxes: np.ndarray
  classes: np.ndarray
  scores: np.ndarray
  rles: list[dict[str, Any]] | None


def read_outputs(
  outputs: Mapping[str, np.ndarray],
  row: int,
  image_hw: tuple[int, int],
  export_format: ExportFormat,
) -> Instances:
  """The instances of one image of a batch.

  Args:
    outputs: arrays by output name of `HTCPredictor.call` or of an export.
    row: position of the image in the batch.
    image_hw: height and width of the image.
    export_format: form of boxes and masks, and the threshold of the masks.

  Raises:
    InputError: the masks have another form.
  """
  count = int(outputs['num_detections'][row])
  boxes = np.asarray(outputs['detection_boxes'][row][:count], np.float32).reshape(-1, 4)
  if export_format.boxes == 'normalized':
    boxes = boxes * np.tile(np.asarray(image_hw, np.float32), 2)
  rles = None
  if 'detection_masks' in outputs:
    masks = np.asarray(outputs['detection_masks'][row][:count])
    rles = _encode(masks, boxes, image_hw, export_format) if count else []
  return Instances(
    boxes,
    np.asarray(outputs['detection_classes'][row][:count], np.int32),
    np.asarray(outputs['detection_scores'][row][:count], np.float32),
    rles,
  )


def _encode(
  masks: np.ndarray,
  boxes: np.ndarray,
  image_hw: tuple[int, int],
  export_format: ExportFormat,
) -> list[dict[str, Any]]:
  """Run-length encodings of [num, ...] masks of any form."""
  (height, width), form = image_hw, export_format.masks
  _check_masks(masks, image_hw, form)
  if form == 'cropped':
    return mask_paste.encode_masks(masks, boxes, image_hw, export_format.mask_threshold)
  masks = masks[:, :height].astype(np.uint8)  # Later rows belong to larger images.
  if form == 'packed':
    masks = np.unpackbits(masks, axis=-1)
  return [mask_codec.encode(mask[:, :width]) for mask in masks]


def _check_masks(masks: np.ndarray, image_hw: tuple[int, int], form: str) -> None:
  """Raise InputError unless the masks can be of this form."""
  height, width = image_hw
  if form == 'cropped':
    fits = masks.ndim == 3 and masks.dtype.kind == 'f'
  else:
    columns = width if form == 'full' else -(-width // 8)
    fits = (
      masks.ndim == 3
      and masks.dtype.kind in 'iu'
      and masks.shape[1] >= height
      and masks.shape[2] >= columns
    )
  if not fits:
    raise InputError(
      'The masks cannot be read',
      expected=f'{form} masks for an image of {height}x{width}',
      got=f'{list(masks.shape)} of {masks.dtype}',
      likely_cause='an export with another --masks: name its folder, so that its export.json is '
      'read',
    )
