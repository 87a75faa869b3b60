"""The detections of one picture, from what a model, an export or a server answers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from htc_tf.data import mask_codec
from htc_tf.errors import InputError
from htc_tf.evaluation import mask_paste
from htc_tf.serving.export_format import ExportFormat


class Instances(NamedTuple):
  """Detections of one picture, in its pixels.

  Attributes:
    boxes: [num, 4] float32 yxyx.
    classes: [num] int, 1..num_classes-1.
    scores: [num] float32.
    rles: a COCO run-length encoding each, or None in a box-only model.
  """

  boxes: np.ndarray
  classes: np.ndarray
  scores: np.ndarray
  rles: list[dict] | None


def read_outputs(
  outputs: Mapping[str, np.ndarray],
  row: int,
  picture_hw: tuple[int, int],
  export_format: ExportFormat,
) -> Instances:
  """The instances of one picture of a batch.

  Args:
    outputs: arrays by the names of `HTCPredictor.call` or of an export.
    row: which picture of the batch.
    picture_hw: its height and width.
    export_format: the form of boxes and masks.

  Raises:
    InputError: masks that are not of this form.
  """
  count = int(outputs['num_detections'][row])
  boxes = np.asarray(outputs['detection_boxes'][row][:count], np.float32).reshape(-1, 4)
  if export_format.boxes == 'normalized':
    boxes = boxes * np.tile(np.asarray(picture_hw, np.float32), 2)
  rles = None
  if 'detection_masks' in outputs:
    masks = np.asarray(outputs['detection_masks'][row][:count])
    rles = _encode(masks, boxes, picture_hw, export_format.masks) if count else []
  return Instances(
    boxes,
    np.asarray(outputs['detection_classes'][row][:count], np.int32),
    np.asarray(outputs['detection_scores'][row][:count], np.float32),
    rles,
  )


def _encode(
  masks: np.ndarray, boxes: np.ndarray, picture_hw: tuple[int, int], form: str
) -> list[dict]:
  """Run-length encodes [num, ...] masks of any form."""
  height, width = picture_hw
  _check_masks(masks, picture_hw, form)
  if form == 'cropped':
    return mask_paste.encode_masks(masks, boxes, picture_hw)
  masks = masks[:, :height].astype(np.uint8)  # Rows and columns beyond are of larger pictures.
  if form == 'packed':
    masks = np.unpackbits(masks, axis=-1)
  return [mask_codec.encode(mask[:, :width]) for mask in masks]


def _check_masks(masks: np.ndarray, picture_hw: tuple[int, int], form: str) -> None:
  """Raises InputError for masks that cannot be of this form."""
  height, width = picture_hw
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
      expected=f'{form} ones for a picture of {height}x{width}',
      got=f'{list(masks.shape)} of {masks.dtype}',
      likely_cause='the export was made with another --masks: name its folder, so '
      'that its export.json is read',
    )
