"""Detections as COCO results, which pycocotools reads, and the JSON file of these results."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from htc_tf import file_systems, files
from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import mask_paste


def detections_to_results(
  detections: Mapping[str, np.ndarray],
  image_info: np.ndarray,
  image_id: int,
  category_ids: Sequence[int],
  mask_threshold: float = mask_paste.PUBLISHED_THRESHOLD,
) -> list[dict[str, Any]]:
  """COCO results, in original-image pixels, of the detections in one image.

  Args:
    detections: outputs of the model without the batch axis: `detection_boxes` [num, 4] yxyx in
      padded-image pixels, `detection_scores` [num], `detection_classes` [num], `num_detections`
      scalar and, with masks, `detection_masks` [num, 28, 28]. Rows from `num_detections` on are
      padding.
    image_info: [4, 2]; rows original (h, w), visible (h, w), scale (y, x), offset (y, x); see
      `preprocess.image_info`.
    image_id: id of the image in the annotations.
    category_ids: category id of each class; class 1 is the first.
    mask_threshold: smallest probability of a pixel of an object, above 0.

  Returns:
    One dict per valid detection; see `instances_to_results`.

  Raises:
    InputError: an entry is missing, boxes, scores or masks are not finite, or the threshold is not
      above 0.
    DataError: a class has no category.
  """
  _check_detections(detections)
  valid = slice(0, int(detections['num_detections']))
  image_hw = original_size(image_info)
  boxes_original = boxes_to_original(detections['detection_boxes'][valid], image_info)
  rles = None
  if 'detection_masks' in detections:
    masks = detections['detection_masks'][valid]
    rles = mask_paste.encode_masks(masks, boxes_original, image_hw, mask_threshold)
  return instances_to_results(
    image_id,
    boxes_original,
    detections['detection_scores'][valid],
    detections['detection_classes'][valid],
    rles,
    category_ids,
  )


def instances_to_results(
  image_id: int,
  boxes_original: np.ndarray,
  scores: np.ndarray,
  classes: np.ndarray,
  rles: Sequence[dict[str, Any]] | None,
  category_ids: Sequence[int],
) -> list[dict[str, Any]]:
  """COCO results of instances in original-image pixels.

  Args:
    image_id: id of the image in the annotations.
    boxes_original: [num, 4] yxyx in pixels of the original image.
    scores: [num] in [0, 1].
    classes: [num] int, 1 for the first entry of `category_ids`.
    rles: `num` COCO run-length encodings with `counts` as str, or None for boxes alone.
    category_ids: category id of each class; class 1 is the first.

  Returns:
    `num` dicts `{image_id, category_id, bbox: [x, y, width, height], score}`, and `segmentation` if
    there are masks. All numbers are plain Python numbers.

  Raises:
    InputError: boxes or scores are not finite.
    DataError: a class has no category.
  """
  if not (np.isfinite(boxes_original).all() and np.isfinite(scores).all()):
    raise InputError(
      f'Detections of image {image_id} cannot be used',
      expected='finite boxes and scores',
      got='NaN or infinity',
      likely_cause='a model whose training diverged',
    )
  y_min, x_min, y_max, x_max = np.asarray(boxes_original, np.float64).reshape(-1, 4).T
  boxes_xywh = np.stack([x_min, y_min, x_max - x_min, y_max - y_min], axis=-1)  # [num, 4]
  results = []
  for row, label in enumerate(classes):
    result = {
      'image_id': int(image_id),
      'category_id': _category_id(int(label), category_ids),
      'bbox': boxes_xywh[row].tolist(),
      'score': float(scores[row]),
    }
    if rles is not None:
      result['segmentation'] = rles[row]
    results.append(result)
  return results


def original_size(image_info: np.ndarray) -> tuple[int, int]:
  """(height, width) of the original image, read from `image_info` [4, 2]."""
  height, width = np.rint(np.asarray(image_info)[0]).astype(int).tolist()
  return height, width


def boxes_to_original(boxes: np.ndarray, image_info: np.ndarray) -> np.ndarray:
  """Boxes in pixels of the original image, clipped to it.

  Args:
    boxes: [num, 4] yxyx in padded-image pixels, without padding rows.
    image_info: [4, 2]; see `detections_to_results`.

  Returns:
    [num, 4] float32 yxyx in pixels of the original image.
  """
  original, _, scale, offset = np.asarray(image_info, np.float32)
  boxes_original = (np.asarray(boxes, np.float32) + np.tile(offset, 2)) / np.tile(scale, 2)
  return np.clip(boxes_original, 0, np.tile(original, 2))


def write_results(path: files.PathLike, results: Sequence[Mapping[str, Any]]) -> None:
  """Write COCO results as JSON, completely or not at all.

  Args:
    path: path of the file; an existing one is replaced.
    results: results of `detections_to_results`, of any number of images.
  """
  with (
    files.replaced_when_written(path) as temporary,
    file_systems.open_file(temporary, 'w') as stream,
  ):
    json.dump(list(results), stream, separators=(',', ':'), allow_nan=False)


def _category_id(label: int, category_ids: Sequence[int]) -> int:
  """The category id of a foreground class."""
  if not 1 <= label <= len(category_ids):
    raise DataError(
      'A detection has a class without a category',
      expected=f'classes 1 to {len(category_ids)}',
      got=str(label),
      likely_cause='a num_classes that does not fit the categories of the data set',
    )
  return int(category_ids[label - 1])


def _check_detections(detections: Mapping[str, np.ndarray]) -> None:
  """Raise InputError if an entry is missing or the number of detections is impossible."""
  required = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections')
  missing = [name for name in required if name not in detections]
  if missing:
    raise InputError(
      'Detections cannot be read',
      expected=', '.join(required),
      got=f'no {", ".join(missing)}',
      likely_cause='outputs of another model',
    )
  num_detections, num_rows = int(detections['num_detections']), len(detections['detection_boxes'])
  if not 0 <= num_detections <= num_rows:
    raise InputError(
      'Detections cannot be read',
      expected=f'num_detections from 0 to {num_rows}',
      got=str(num_detections),
    )
