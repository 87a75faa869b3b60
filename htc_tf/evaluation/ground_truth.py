"""Loading and checking of annotations for the evaluation."""

import collections
import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging
from pycocotools import coco

from htc_tf import files
from htc_tf.data.coco_annotations import read_annotations
from htc_tf.errors import DataError
from htc_tf.evaluation import record_ids


def load_ground_truth(
  annotation_file: files.PathLike,
  include_mask: bool,
  records_annotations: files.PathLike | None = None,
) -> coco.COCO:
  """COCO annotations for evaluation, with the index of pycocotools.

  The conversion reads annotations by the same rules; usable boxes and polygons stay as they are.
  Annotations without a distinct positive id are renumbered, because COCOeval treats a match with an
  annotation of id 0 as no match. Images without a size have a true `size_unknown`; see
  `adopt_sizes`. What is repaired or dropped is logged; the file is not changed.

  Args:
    annotation_file: path of a COCO instances file.
    include_mask: whether masks are evaluated, so that every annotation needs a segmentation.
    records_annotations: path of the annotations beside the records, whose ids replace ids that are
      text; None to number them.

  Raises:
    DataError: the file is missing or has another format, no image or category is usable, entries
      contradict each other, or all annotations are unusable.
  """
  read = read_annotations(os.fspath(annotation_file), include_mask, for_evaluation=True)
  annotations = [entry for entries in read.annotations.values() for entry in entries]
  findings = [line.strip() for line in read.report.lines() if 'mapped to labels' not in line]
  if read.num_annotations and not annotations:
    raise DataError(
      f'No annotation of {annotation_file} can be used for evaluation',
      expected='boxes' + (' and masks' if include_mask else '') + ' of known images and categories',
      got='; '.join(findings),
      likely_cause='annotations for boxes alone; set include_mask to False'
      if read.report.counts['empty_segmentation']
      else 'annotations of another data set',
    )
  if findings:
    logging.warning('Annotations %s: %s', annotation_file, '; '.join(findings))
  dataset = {
    **read.header,
    'images': read.images,
    'annotations': annotations,
    'categories': read.categories,
  }
  if records_annotations is not None and read.report.counts['text_ids_numbered']:
    record_ids.adopt(dataset, records_annotations)
  return index(dataset)


def index(dataset: dict[str, Any]) -> coco.COCO:
  """COCO annotations with the index of pycocotools."""
  indexed = coco.COCO()
  indexed.dataset = dataset
  with silence():
    indexed.createIndex()
  return indexed


def load_with_masks_if_any(
  annotation_file: files.PathLike, include_mask: bool
) -> tuple[coco.COCO, bool]:
  """Annotations as `load_ground_truth` returns them, and whether their masks can be evaluated.

  Args:
    annotation_file: path of a COCO instances file.
    include_mask: whether masks are to be evaluated if the annotations have some.

  Raises:
    DataError: as for `load_ground_truth`.
  """
  try:
    return load_ground_truth(annotation_file, include_mask), include_mask
  except DataError:
    if not include_mask:
      raise
    boxes = load_ground_truth(annotation_file, include_mask=False)
    if any('segmentation' in entry for entry in boxes.dataset['annotations']):
      raise
    return boxes, False


def adopt_sizes(ground_truth: coco.COCO, results: Sequence[dict[str, Any]]) -> None:
  """Give images whose size the annotations lack the size of their predicted masks.

  Args:
    ground_truth: annotations, which are changed.
    results: COCO results, with or without `segmentation`.
  """
  for result in results:
    image = ground_truth.imgs[result['image_id']]
    if image.get('size_unknown') and 'segmentation' in result:
      image['height'], image['width'] = result['segmentation']['size']


def common_categories(ground_truth: coco.COCO, names: dict[int, str]) -> list[int]:
  """Ids of the categories that both a model and the annotations have.

  Args:
    ground_truth: annotations.
    names: name of each category of the model by id, in the order of the classes.

  Raises:
    DataError: a category has another name in the annotations, or no id is the same.
  """
  found = _names(ground_truth)
  common = [id_ for id_ in names if id_ in found]
  differing = [id_ for id_ in common if names[id_].strip() != found[id_].strip()]
  if differing or not common:
    raise DataError(
      'The categories of the annotations are not those of the model',
      expected=f'the ids and names {_listed(names)}',
      got=_listed(found)
      + (f'; {len(differing)} ids have another name' if differing else '; no id is the same'),
      likely_cause='two exports that numbered the categories independently; give each name the '
      'same id in both annotation files, and convert both again',
    )
  return common


def _names(ground_truth: coco.COCO) -> dict[int, str]:
  """Name of each category by id."""
  return {id_: str(category.get('name', id_)) for id_, category in ground_truth.cats.items()}


def _listed(names: dict[int, str], maximum: int = 20) -> str:
  shown = ', '.join(f'{id_}: {names[id_]!r}' for id_ in sorted(names)[:maximum])
  return shown + (', ...' if len(names) > maximum else '')


def category_names(ground_truth: coco.COCO, category_ids: Sequence[int]) -> tuple[str, ...]:
  """A distinct name of each category; if categories share a name, the id is appended.

  Raises:
    DataError: `category_ids` is empty, or has an id that the annotations do not have.
  """
  unknown = sorted(set(category_ids) - set(ground_truth.cats))
  if unknown or not category_ids:
    raise DataError(
      'The model cannot be evaluated on these annotations',
      expected=f'categories among {sorted(ground_truth.cats)}',
      got=f'unknown ids {unknown}' if unknown else 'no category',
      likely_cause='annotations of another data set than the training data',
    )
  known = _names(ground_truth)
  return distinct_names([known[category] for category in category_ids], category_ids)


def distinct_names(names: Sequence[str], category_ids: Sequence[int]) -> tuple[str, ...]:
  """Names of categories; to a name that several share, the id of each is appended."""
  count = collections.Counter(names)
  return tuple(
    name if count[name] == 1 else f'{name} ({category})'
    for name, category in zip(names, category_ids)
  )


def why_nothing_counts(ground_truth: coco.COCO, category_ids: Sequence[int]) -> str:
  """Why no annotation counts as an object to find; empty if there are such annotations.

  Args:
    ground_truth: annotations.
    category_ids: ids of the evaluated categories.
  """
  annotations = ground_truth.dataset['annotations']
  evaluated = [entry for entry in annotations if entry['category_id'] in set(category_ids)]
  if not all(entry.get('iscrowd') for entry in evaluated):
    return ''
  num_images = len(ground_truth.imgs)
  if not annotations:
    return (
      f'the {num_images} images have no annotation. Likely cause: the annotations of a test set, '
      'which are not published, or of another split'
    )
  if not evaluated:
    names = _names(ground_truth)
    return (
      f'none of the {len(annotations)} annotations of {num_images} images has one of the evaluated '
      f'categories {_listed({id_: names[id_] for id_ in category_ids})}'
    )
  return (
    f'all {len(evaluated)} annotations of the evaluated categories, in {num_images} images, are '
    'crowd regions (iscrowd=1), which are no objects to find'
  )


@contextlib.contextmanager
def silence() -> Iterator[None]:
  """A context in which pycocotools does not print."""
  with contextlib.redirect_stdout(io.StringIO()):
    yield
