"""Loading and checking of annotations for the evaluation."""

import collections
import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging
from pycocotools import coco

from htc_tf import files
from htc_tf.errors import DataError

_SECTIONS = ('images', 'annotations', 'categories')


def load_ground_truth(annotation_file: files.PathLike, include_mask: bool) -> coco.COCO:
  """COCO annotations for evaluation, with the index of pycocotools.

  Values that pycocotools requires are added: 0 for a missing `iscrowd`, and the area of the box for
  a missing `area`. Annotations are renumbered unless their ids are distinct positive numbers,
  because COCOeval treats a match with an annotation of id 0 as no match.

  Args:
    annotation_file: path of a COCO instances file.
    include_mask: whether masks are evaluated, so that every annotation needs a segmentation.

  Raises:
    DataError: the file is missing or has another form, annotations refer to unknown images or
      categories, or they lack boxes or segmentations.
  """
  dataset = _read_dataset(annotation_file)
  _check_references(annotation_file, dataset)
  if include_mask:
    _check_segmentations(annotation_file, dataset['annotations'])
  for annotation in dataset['annotations']:
    annotation.setdefault('iscrowd', 0)
    annotation.setdefault('area', annotation['bbox'][2] * annotation['bbox'][3])
  _number_annotations(annotation_file, dataset['annotations'])
  return index(dataset)


def index(dataset: dict[str, Any]) -> coco.COCO:
  """COCO annotations with the index of pycocotools."""
  indexed = coco.COCO()
  indexed.dataset = dataset
  with silence():
    indexed.createIndex()
  return indexed


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
  names = [str(ground_truth.cats[category].get('name', category)) for category in category_ids]
  count = collections.Counter(names)
  return tuple(
    name if count[name] == 1 else f'{name} ({category})'
    for name, category in zip(names, category_ids)
  )


@contextlib.contextmanager
def silence() -> Iterator[None]:
  """A context in which pycocotools does not print."""
  with contextlib.redirect_stdout(io.StringIO()):
    yield


def _read_dataset(annotation_file: files.PathLike) -> dict[str, Any]:
  """Content of the JSON file; raises DataError unless it has the sections of COCO annotations."""
  expected = 'a COCO annotation file: a JSON object with images, annotations and categories'
  try:
    with open(annotation_file, encoding='utf-8') as stream:
      dataset = json.load(stream)
  except OSError as error:
    raise DataError(
      f'Annotations {annotation_file} cannot be read',
      expected=expected,
      got=error.strerror or str(error),
      likely_cause='a wrong path',
    ) from error
  except (ValueError, RecursionError) as error:
    raise DataError(
      f'Annotations {annotation_file} are not JSON',
      expected=expected,
      got=str(error),
      likely_cause='another kind of file, or an incomplete copy',
    ) from error
  lists = [
    key for key in _SECTIONS if isinstance(dataset, dict) and isinstance(dataset.get(key), list)
  ]
  if len(lists) < len(_SECTIONS):
    raise DataError(
      f'Annotations {annotation_file} are not in COCO format',
      expected=expected,
      got=f'the lists: {", ".join(lists)}' if lists else 'none of these lists',
      likely_cause='a result file, or annotations of another format',
    )
  return dataset


def _check_references(annotation_file: files.PathLike, dataset: dict[str, Any]) -> None:
  """Raise DataError if an annotation lacks a box or refers to an unknown image or category."""
  for image in dataset['images']:
    if not {'id', 'height', 'width'} <= set(image):
      raise DataError(
        f'Annotations {annotation_file} are not consistent',
        expected='id, height and width of every image',
        got=str(image)[:200],
      )
  images = {image['id'] for image in dataset['images']}
  categories = {category['id'] for category in dataset['categories']}
  for annotation in dataset['annotations']:
    if annotation.get('image_id') not in images:
      problem = f'unknown image_id {annotation.get("image_id")}'
    elif annotation.get('category_id') not in categories:
      problem = f'unknown category_id {annotation.get("category_id")}'
    elif len(annotation.get('bbox') or ()) != 4:
      problem = f'bbox {annotation.get("bbox")}'
    else:
      continue
    raise DataError(
      f'Annotations {annotation_file} are not consistent',
      expected='known image_id and category_id and a bbox [x, y, width, height]',
      got=f'{problem} in annotation {annotation.get("id")}',
      likely_cause='a subset of the images or categories that was made by hand',
    )


def _check_segmentations(
  annotation_file: files.PathLike, annotations: Sequence[dict[str, Any]]
) -> None:
  """Raise DataError if an annotation has no segmentation."""
  missing = [
    annotation.get('id') for annotation in annotations if not annotation.get('segmentation')
  ]
  if missing:
    raise DataError(
      f'Mask AP cannot be computed on {annotation_file}',
      expected='a segmentation of every annotation',
      got=f'{len(missing)} of {len(annotations)} without one, first id {missing[0]}',
      likely_cause='annotations for boxes alone; set include_mask to False',
    )


def _number_annotations(
  annotation_file: files.PathLike, annotations: Sequence[dict[str, Any]]
) -> None:
  """Renumber the annotations from 1 unless their ids are distinct and positive."""
  ids = {annotation.get('id') or 0 for annotation in annotations}
  if len(ids) == len(annotations) and min(ids, default=1) > 0:
    return
  logging.warning(
    'Annotation ids of %s are not distinct positive numbers. The evaluation renumbers them, '
    'because COCOeval never matches an object with id 0. The file is not changed.',
    annotation_file,
  )
  for number, annotation in enumerate(annotations, start=1):
    annotation['id'] = number
