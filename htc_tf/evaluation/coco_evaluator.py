"""Box and mask AP of detections that arrive in batches, as pycocotools computes them."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from pycocotools import coco

from htc_tf import files, processes
from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_results, matching
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import metrics as metrics_lib
from htc_tf.evaluation.mask_paste import PUBLISHED_THRESHOLD

# A worker takes half a second to start; one process pastes and matches 50 images in that time.
_IMAGES_PER_WORKER = 100
_MAX_DEFAULT_WORKERS = 16


class COCOEvaluator:
  """A collection of detections, and their evaluation against COCO annotations.

  Masks are stored run-length encoded. All images of the annotations count, including those without
  predictions. As in COCO, a region marked `iscrowd` does not count as missed, and detections in it
  do not count as wrong.

  For mask AP by size, the size of a detection is the area of its mask, as in the published
  evaluations. pycocotools takes the area of the box instead for results that have a `bbox`. Masks
  are therefore evaluated without `bbox`, and `save_results` writes a second file without it, from
  which pycocotools computes the same figures.

  Pasting, encoding and matching are distributed over processes; the results do not depend on their
  number. An error in one of them is raised by a later `update`, or at the latest by `result` or
  `save_results`, and again by every later call until `reset`.

  Args:
    annotation_file: path of a COCO instances file.
    category_ids: category id of each class; class 1 of the model is the first. These categories are
      evaluated; those without annotations do not count in the means.
    include_mask: whether to evaluate masks besides boxes.
    per_category: whether `result` also gives AP of each category.
    max_detections: number of detections per image and category, best first, up to which figures are
      given besides the standard ones, which count 100.
    num_workers: number of processes; 1 for this process alone. None for one per hundred annotated
      images, but at least 1, and at most 16 and the number of usable cores.
    names: name of each class, to compare with the annotations; the annotations may then lack some
      of the categories, and detections of those are not evaluated. None to compare ids alone.
    records_annotations: path of the annotations beside the records; they tell the ids of images and
      categories whose ids in `annotation_file` are text.

  Attributes:
    mask_threshold: smallest probability of a pixel of an object, above 0; it is set before the
      first `update`.

  Raises:
    DataError: the annotations are missing or malformed, or lack the categories or, with
      `include_mask`, segmentations, or have another name for a category id.
    InputError: `max_detections` or `num_workers` is below 1.
  """

  def __init__(
    self,
    annotation_file: files.PathLike,
    category_ids: Sequence[int],
    include_mask: bool,
    per_category: bool = False,
    max_detections: int = 100,
    num_workers: int | None = None,
    names: Sequence[str] | None = None,
    records_annotations: files.PathLike | None = None,
  ):
    for name, value in (('max_detections', max_detections), ('num_workers', num_workers)):
      if value is not None and value < 1:
        raise InputError(
          'The evaluator cannot be built', expected=f'{name} of at least 1', got=str(value)
        )
    self._ground_truth = ground_truth_lib.load_ground_truth(
      annotation_file, include_mask, records_annotations
    )
    self._category_ids = [int(category) for category in category_ids]
    self._evaluated_ids = self._category_ids
    if names is not None:
      self._evaluated_ids = ground_truth_lib.common_categories(
        self._ground_truth, dict(zip(self._category_ids, names))
      )
    self._names = ground_truth_lib.category_names(self._ground_truth, self._evaluated_ids)
    self._iou_types = ('bbox', 'segm') if include_mask else ('bbox',)
    self._per_category = per_category
    self._max_detections = max_detections
    self.mask_threshold = PUBLISHED_THRESHOLD
    self._workers = processes.WorkerPool(
      num_workers or default_workers(len(self._ground_truth.imgs))
    )
    self.reset()

  @property
  def ground_truth(self) -> coco.COCO:
    """The annotations with their index."""
    return self._ground_truth

  @property
  def evaluated_ids(self) -> list[int]:
    """Ids of the evaluated categories, in the order of the classes of the model."""
    return list(self._evaluated_ids)

  def reset(self) -> None:
    """Drop all detections and end the processes."""
    self._workers.close()
    self._results: list[dict[str, Any]] = []
    self._seen: set[int] = set()

  def update(self, predictions: Mapping[str, np.ndarray]) -> None:
    """Add a batch of detections; an image that was added before is skipped.

    An image is repeated if the last batch is filled up, or if replicas read the same data.

    Args:
      predictions: `source_id` [batch] image ids; `image_info` [batch, 4, 2]; `detection_boxes`
        [batch, num, 4] yxyx in padded-image pixels, `detection_scores` [batch, num],
        `detection_classes` [batch, num] and `num_detections` [batch]; later rows are padding. With
        masks, `detection_masks` [batch, num, 28, 28] probabilities.

    Raises:
      InputError: an entry is missing, or values are not finite.
      DataError: an image is not in the annotations or has another size there, or a class has no
        category.
    """
    arrays = {key: np.asarray(predictions[key]) for key in self._required_keys(predictions)}
    for row, image_id in enumerate(arrays.pop('source_id').reshape(-1).tolist()):
      if image_id in self._seen:
        continue
      image = {key: array[row] for key, array in arrays.items()}
      image_info = image.pop('image_info')
      self._check_image(image_id, image_info)
      self._add(
        self._workers.submit(
          coco_results.detections_to_results,
          image,
          image_info,
          image_id,
          self._category_ids,
          self.mask_threshold,
        )
      )
      self._seen.add(image_id)

  @property
  def num_images(self) -> int:
    """Number of images that were added since the last `reset`."""
    return len(self._seen)

  def collected(self) -> dict[str, list[Any]]:
    """All detections since the last `reset`, for `merge` of the evaluator in another process.

    Returns:
      `images`, the ids of the images that were added, and `results`, COCO results. Both can be
      written as JSON.
    """
    self._add(self._workers.drain())
    return {'images': sorted(self._seen), 'results': self._results}

  def merge(self, collected: Mapping[str, list[Any]]) -> None:
    """Add detections of another evaluator of the same annotations; known images are skipped.

    Args:
      collected: result of `collected` of the other evaluator.
    """
    new = set(collected['images']) - self._seen
    self._results += [result for result in collected['results'] if result['image_id'] in new]
    self._seen |= new

  @property
  def categories(self) -> dict[int, str]:
    """Name of each evaluated category by id."""
    return dict(zip(self._evaluated_ids, self._names))

  def instances(self, image_id: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]] | None:
    """The annotations and the detections of an image, to draw them.

    Args:
      image_id: id of the image in the annotations.

    Returns:
      Annotations without crowd regions, and COCO results, both of evaluated categories; masks are
      compressed run lengths. None if the image was not evaluated.
    """
    if image_id not in self._seen or image_id not in self._ground_truth.imgs:
      return None
    self._add(self._workers.drain())
    truth = [
      {**entry, 'segmentation': self._ground_truth.annToRLE(entry)}
      if 'segm' in self._iou_types
      else {'bbox': entry['bbox'], 'category_id': entry['category_id']}
      for entry in self._ground_truth.imgToAnns[image_id]
      if not entry.get('iscrowd') and entry['category_id'] in self._evaluated_ids
    ]
    known = set(self._evaluated_ids)
    found = [
      result
      for result in self._results
      if result['image_id'] == image_id and result['category_id'] in known
    ]
    return truth, found

  def result(self) -> dict[str, float]:
    """The figures of all detections since the last `reset`; also ends the processes.

    Returns:
      For boxes, the 12 figures of COCO, which count 100 detections per image and category:
      `bbox_AP`, `bbox_AP50`, `bbox_AP75`, `bbox_APs`, `bbox_APm`, `bbox_APl`, `bbox_ARmax1`,
      `bbox_ARmax10`, `bbox_ARmax100`, `bbox_ARs`, `bbox_ARm`, `bbox_ARl`. If `max_detections` is
      another number, e.g. 300, also `bbox_AP@300`, `bbox_AP50@300`, ..., `bbox_ARmax300`,
      `bbox_ARs@300`, ... For masks, the same as `segm_*`. With `per_category`, also
      `bbox_AP_by_category/<name>` and `bbox_AP@300_by_category/<name>`. All are in [0, 1]; as in
      pycocotools, -1 if the annotations have no object of that size or category.
    """
    missing = len(self._ground_truth.imgs) - len(self._seen)
    if missing:
      logging.warning(
        '%d of the %d annotated images were not predicted; their objects count as '
        'missed. Likely cause: trainer.validation_steps stops before the last image (-1 reads '
        'all), or the records have fewer images than the annotations.',
        missing,
        len(self._ground_truth.imgs),
      )
    self._add(self._workers.drain())
    ground_truth_lib.adopt_sizes(self._ground_truth, self._results)
    figures = {}
    for iou_type in self._iou_types:
      evaluation = matching.evaluate(
        self._ground_truth,
        self._results,
        self._evaluated_ids,
        iou_type,
        self._max_detections,
        self._workers,
      )
      figures.update(metrics_lib.summary(evaluation, iou_type, self._max_detections))
      if self._per_category:
        names = dict(zip(self._evaluated_ids, self._names))
        figures.update(
          metrics_lib.average_precision_by_category(
            evaluation, names, iou_type, self._max_detections
          )
        )
    self._workers.close()
    reason = ground_truth_lib.why_nothing_counts(self._ground_truth, self._evaluated_ids)
    if reason:
      logging.warning('The figures are empty (-1), because %s', reason)
    return figures

  def save_results(self, path: files.PathLike) -> list[str]:
    """Write the detections as COCO JSON.

    Args:
      path: path of the file for boxes, scores and, with masks, segmentations.

    Returns:
      The written files: `path` and, with masks, `<stem of path>.segm.json`, the same without the
      boxes. pycocotools computes the figures of `result` for boxes from the first and for masks
      from the second; for masks from the first, only APs, APm and APl differ.
    """
    self._add(self._workers.drain())
    path = os.fspath(path)
    contents = {path: self._results}
    if 'segm' in self._iou_types:
      contents[f'{os.path.splitext(path)[0]}.segm.json'] = matching.matched_fields(
        self._results, 'segm'
      )
    for name, results in contents.items():
      coco_results.write_results(name, results)
    return list(contents)

  def _required_keys(self, predictions: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the entries to read from a batch; raises InputError if one is missing."""
    required = [
      'source_id',
      'image_info',
      'num_detections',
      'detection_boxes',
      'detection_scores',
      'detection_classes',
    ]
    if 'segm' in self._iou_types:
      required.append('detection_masks')
    missing = [key for key in required if key not in predictions]
    if missing:
      raise InputError(
        'A batch cannot be evaluated',
        expected=', '.join(required),
        got=f'no {", ".join(missing)}',
        likely_cause='different include_mask of evaluator and model'
        if missing == ['detection_masks']
        else 'outputs of another model',
      )
    return required

  def _check_image(self, image_id: int, image_info: np.ndarray) -> None:
    """Raise DataError unless the annotations have this image in this size."""
    image = self._ground_truth.imgs.get(image_id)
    if image is None:
      raise DataError(
        'A predicted image is not in the annotations',
        expected=f'one of {len(self._ground_truth.imgs)} image ids',
        got=f'image id {image_id}',
        likely_cause='records and annotation file of different data sets',
      )
    predicted, annotated = coco_results.original_size(image_info), (image['height'], image['width'])
    if predicted != annotated and not image.get('size_unknown'):
      raise DataError(
        f'Image {image_id} does not have the size of its annotations',
        expected=f'height and width {annotated}',
        got=str(predicted),
        likely_cause='images that were resized, or turned by their EXIF flag',
      )

  def _add(self, results_by_image: Sequence[list[dict[str, Any]]]) -> None:
    for results in results_by_image:
      self._results += results


def default_workers(num_images: int) -> int:
  """Number of processes that save more time than they take to start.

  Args:
    num_images: number of annotated images.
  """
  return max(
    1, min(processes.usable_cores(), _MAX_DEFAULT_WORKERS, num_images // _IMAGES_PER_WORKER)
  )
