"""Box and mask AP of a stream of detections, as pycocotools measures them."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from htc_tf import files, processes
from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_results, matching
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import metrics as metrics_lib

# A worker takes half a second to start: the time in which 50 images are pasted and matched.
_IMAGES_PER_WORKER = 100
_MAX_DEFAULT_WORKERS = 16


class COCOEvaluator:
  """Collects detections batch by batch and measures them against COCO annotations.

  Masks are kept run-length encoded. All images of the annotations count, also those for which no
  prediction came; regions marked `iscrowd` are neither missed nor matched wrongly, as in COCO.

  Mask AP by size: as in the published evaluations, the size of a detection is the area of its mask.
  pycocotools takes the area of the box instead for results that have a `bbox`, so masks are
  evaluated without it, and `save_results` writes a second file from which pycocotools gives the
  very same figures.

  Pasting, encoding and matching are spread over processes, with the same results whatever their
  number. An error that one of them meets is raised by a later `update`, or at the latest by
  `result` or `save_results`, and again until `reset`.
  """

  def __init__(
    self,
    annotation_file: files.PathLike,
    category_ids: Sequence[int],
    include_mask: bool,
    per_category: bool = False,
    max_detections: int = 100,
    num_workers: int | None = None,
  ):
    """Reads the annotations.

    Args:
      annotation_file: path of a COCO instances file.
      category_ids: category id of each label; class 1 of the model is the first. These categories
        are evaluated, also those without annotations (which take no part in the means).
      include_mask: whether to measure masks besides boxes.
      per_category: whether `result` also gives AP of each category.
      max_detections: how many detections of an image and category count, best first.
      num_workers: processes; 1 works in this one. None: the cores at hand, up to 16, and one for
        every hundred annotated images, so that few images are evaluated in this process.

    Raises:
      DataError: annotations that are missing, malformed, without the categories or, with
        `include_mask`, without segmentations.
      InputError: `max_detections` or `num_workers` below 1.
    """
    for name, value in (('max_detections', max_detections), ('num_workers', num_workers)):
      if value is not None and value < 1:
        raise InputError(
          'The evaluator cannot be built', expected=f'{name} of at least 1', got=str(value)
        )
    self._ground_truth = ground_truth_lib.load_ground_truth(annotation_file, include_mask)
    self._category_ids = [int(category) for category in category_ids]
    self._names = ground_truth_lib.category_names(self._ground_truth, self._category_ids)
    self._iou_types = ('bbox', 'segm') if include_mask else ('bbox',)
    self._per_category = per_category
    self._max_detections = max_detections
    self._workers = processes.WorkerPool(
      num_workers or _default_workers(len(self._ground_truth.imgs))
    )
    self.reset()

  def reset(self) -> None:
    """Forgets all detections and ends the processes."""
    self._workers.close()
    self._results: list[dict] = []
    self._seen = set()

  def update(self, predictions: Mapping[str, np.ndarray]) -> None:
    """Adds a batch of detections; an image that came before is left out.

    An image comes twice when the last batch is filled up, or when replicas read the same data.

    Args:
      predictions: `source_id` [batch] image ids; `image_info` [batch, 4, 2]; `detection_boxes`
        [batch, num, 4] yxyx in padded-image pixels, `detection_scores` [batch, num],
        `detection_classes` [batch, num] and `num_detections` [batch], rows from there on being
        padding; with masks, `detection_masks` [batch, num, 28, 28] probabilities.

    Raises:
      InputError: a missing entry, or values that are not finite.
      DataError: an image that the annotations do not have or have in another size, or a class
        without a category.
    """
    arrays = {key: np.asarray(predictions[key]) for key in self._required(predictions)}
    for row, image_id in enumerate(arrays.pop('source_id').reshape(-1).tolist()):
      if image_id in self._seen:
        continue
      image = {key: array[row] for key, array in arrays.items()}
      image_info = image.pop('image_info')
      self._check_image(image_id, image_info)
      self._add(
        self._workers.submit(
          coco_results.detections_to_results, image, image_info, image_id, self._category_ids
        )
      )
      self._seen.add(image_id)

  def collected(self) -> dict[str, list]:
    """All detections since the last `reset`, as `merge` of another process' evaluator takes them.

    Returns:
      `images`, the ids of the images that came, and `results`, COCO results; JSON can hold them.
    """
    self._add(self._workers.drain())
    return {'images': sorted(self._seen), 'results': self._results}

  def merge(self, collected: Mapping[str, list]) -> None:
    """Adds what an evaluator of the same annotations collected; an image both have counts once."""
    new = set(collected['images']) - self._seen
    self._results += [result for result in collected['results'] if result['image_id'] in new]
    self._seen |= new

  def result(self) -> dict[str, float]:
    """Measures all detections that came since the last `reset`, and ends the processes.

    Returns:
      For boxes the 12 figures of COCO, `bbox_AP`, `bbox_AP50`, `bbox_AP75`, `bbox_APs`, `bbox_APm`,
      `bbox_APl`, `bbox_ARmax1`, `bbox_ARmax10`, `bbox_ARmax100`, `bbox_ARs`, `bbox_ARm`,
      `bbox_ARl`; for masks the same as `segm_*`; on request `bbox_AP_by_category/<name>` and
      `segm_AP_by_category/<name>`. All in [0, 1]; -1, as pycocotools has it, where the annotations
      hold no object of that size or category.
    """
    missing = len(self._ground_truth.imgs) - len(self._seen)
    if missing:
      logging.warning(
        '%d of the %d annotated images were not predicted; their objects count as '
        'missed. Likely cause: trainer.validation_steps below all of them (-1), or '
        'annotations of more images than the records.',
        missing,
        len(self._ground_truth.imgs),
      )
    self._add(self._workers.drain())
    figures = {}
    for iou_type in self._iou_types:
      evaluation = matching.evaluate(
        self._ground_truth,
        self._results,
        self._category_ids,
        iou_type,
        self._max_detections,
        self._workers,
      )
      figures.update(metrics_lib.summary(evaluation, prefix=iou_type))
      if self._per_category:
        figures.update(
          metrics_lib.average_precision_by_category(
            evaluation, dict(zip(self._category_ids, self._names)), prefix=iou_type
          )
        )
    self._workers.close()
    logging.info('Evaluation of %d images:\n%s', len(self._seen), metrics_lib.format_table(figures))
    return figures

  def save_results(self, path: files.PathLike) -> list[pathlib.Path]:
    """Writes the detections as COCO JSON.

    Args:
      path: the file for boxes, scores and, of a model with masks, segmentations.

    Returns:
      The files written: `path` and, with masks, `<stem of path>.segm.json`, the same without the
      boxes. pycocotools gives the figures of `result` from the first for boxes and from the second
      for masks; from the first for masks too, save the split of mask AP by size.
    """
    self._add(self._workers.drain())
    path = pathlib.Path(path)
    contents = {path: self._results}
    if 'segm' in self._iou_types:
      contents[path.with_name(f'{path.stem}.segm.json')] = matching.fields(self._results, 'segm')
    for name, results in contents.items():
      coco_results.write_results(name, results)
    return list(contents)

  def _required(self, predictions: Mapping[str, np.ndarray]) -> list[str]:
    """Returns the entries to read from a batch, or raises InputError if one is missing."""
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
        likely_cause='include_mask of the evaluator and the model differ'
        if missing == ['detection_masks']
        else 'outputs of another model',
      )
    return required

  def _check_image(self, image_id: int, image_info: np.ndarray):
    """Raises DataError for an image that is not the one of the annotations."""
    image = self._ground_truth.imgs.get(image_id)
    if image is None:
      raise DataError(
        'A predicted image is not in the annotations',
        expected=f'one of {len(self._ground_truth.imgs)} image ids',
        got=f'image id {image_id}',
        likely_cause='records and annotation file of different data sets',
      )
    predicted, annotated = coco_results.original_size(image_info), (image['height'], image['width'])
    if predicted != annotated:
      raise DataError(
        f'Image {image_id} does not have the size of its annotations',
        expected=f'height and width {annotated}',
        got=str(predicted),
        likely_cause='images that were resized, or turned by their EXIF flag',
      )

  def _add(self, results_by_image: Sequence[list[dict]]):
    for results in results_by_image:
      self._results += results


def _default_workers(num_images: int) -> int:
  """Returns how many processes are worth their start."""
  return max(
    1, min(processes.usable_cores(), _MAX_DEFAULT_WORKERS, num_images // _IMAGES_PER_WORKER)
  )
