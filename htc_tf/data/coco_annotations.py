"""Reading and cleaning of a COCO annotation file.

A fault that makes the whole data set unusable raises a DataError that names the fault. A single
bad entry is dropped or repaired, and counted.
"""

import dataclasses
import json
from typing import Any

from htc_tf.data import segmentation as segmentations
from htc_tf.data.check_report import CheckReport
from htc_tf.data.dataset_info import Category
from htc_tf.errors import DataError

Entry = dict[str, Any]


@dataclasses.dataclass
class CocoAnnotations:
  """A cleaned annotation file.

  Attributes:
    header: top-level entries other than images, annotations and categories.
    categories: category entries as in the file.
    classes: categories ordered by label; the ids in ascending order have the labels 1..K.
    images: image entries with integer `id`, `height`, `width` and a `file_name`.
    annotations: annotations by image id, in the order of the file; each has a clipped `bbox`, an
      `area`, `iscrowd`, a unique positive `id` and, with masks, a usable `segmentation`.
    report: findings, by check.
  """

  header: Entry
  categories: list[Entry]
  classes: tuple[Category, ...]
  images: list[Entry]
  annotations: dict[int, list[Entry]]
  report: CheckReport


def read_annotations(path: str, include_masks: bool = True) -> CocoAnnotations:
  """The cleaned content of an annotation file.

  Args:
    path: path of the JSON file.
    include_masks: whether an annotation needs a segmentation.

  Raises:
    DataError: the file is not JSON, has no images or no categories, or has malformed or
      contradictory image or category entries, or an annotation has an unknown category.
  """
  content = _read_json(path)
  report = CheckReport()
  classes = _read_classes(_entries(content, 'categories', path), report, path)
  images = _read_images(_entries(content, 'images', path), report, path)
  entries = _entries(content, 'annotations', path, may_be_empty=True)
  annotations = _read_annotations(entries, images, classes, report, include_masks)
  header = {
    key: value
    for key, value in content.items()
    if key not in ('images', 'annotations', 'categories')
  }
  return CocoAnnotations(
    header, content['categories'], classes, list(images.values()), annotations, report
  )


def _read_json(path: str) -> Entry:
  try:
    with open(path, encoding='utf-8') as file:
      content = json.load(file)
  except OSError as error:
    raise DataError(f'The annotation file {path} cannot be read', got=str(error)) from error
  except (ValueError, RecursionError) as error:
    raise DataError(
      f'The annotation file {path} is not JSON',
      got=str(error),
      likely_cause='an incomplete download, or the path of another file',
    ) from error
  if not isinstance(content, dict):
    raise DataError(
      f'{path} is not a COCO annotation file',
      expected='an object with images, annotations, categories',
      got=f'a {type(content).__name__}',
      likely_cause='a results file, which is a list',
    )
  return content


def _entries(content: Entry, key: str, path: str, may_be_empty: bool = False) -> list[Entry]:
  entries = content.get(key, [])
  if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
    raise DataError(
      f'The entry "{key}" in {path} is malformed',
      expected='a list of objects',
      got=type(entries).__name__,
    )
  if not entries and not may_be_empty:
    raise DataError(
      f'{path} has no {key}',
      expected=f'at least one entry in "{key}"',
      got='none',
      likely_cause='an empty data set, or a file that is not an annotation file',
    )
  return entries


def _is_integer(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


def _read_classes(entries: list[Entry], report: CheckReport, path: str) -> tuple[Category, ...]:
  names: dict[int, str] = {}
  for entry in entries:
    if not _is_integer(entry.get('id')) or not isinstance(entry.get('name'), str):
      raise DataError(
        f'A category in {path} is malformed', expected='an integer id and a name', got=str(entry)
      )
    if entry['id'] in names:
      raise DataError(
        f'Category id {entry["id"]} is given twice in {path}',
        expected='one category per id',
        got=f'{names[entry["id"]]!r} and {entry["name"]!r}',
      )
    names[entry['id']] = entry['name']
  classes = tuple(
    Category(id_, names[id_], label) for label, id_ in enumerate(sorted(names), start=1)
  )
  for category in classes:
    if category.id != category.label:
      report.add('category_ids_mapped', f'{category.id} ({category.name}) -> {category.label}')
  return classes


def _read_images(entries: list[Entry], report: CheckReport, path: str) -> dict[int, Entry]:
  images: dict[int, Entry] = {}
  for entry in entries:
    _check_image_entry(entry, path)
    known = images.get(entry['id'])
    if known is None:
      images[entry['id']] = entry
    elif known['file_name'] == entry['file_name']:
      report.add('duplicate_image', entry['file_name'])
    else:
      raise DataError(
        f'Image id {entry["id"]} is given twice in {path}',
        expected='one image per id',
        got=f'{known["file_name"]!r} and {entry["file_name"]!r}',
      )
  return images


def _check_image_entry(entry: Entry, path: str) -> None:
  if (
    not _is_integer(entry.get('id'))
    or not isinstance(entry.get('file_name'), str)
    or not all(_is_integer(entry.get(side)) and entry[side] > 0 for side in ('height', 'width'))
  ):
    raise DataError(
      f'An image entry in {path} is malformed',
      expected='integer id, file_name, positive integer height and width',
      got=str(entry),
    )


class _AnnotationIds:
  """The ids of the annotations read so far, and new ids for annotations without a usable one.

  The id 0 is not usable: pycocotools stores the id of the annotation that a detection matches, and
  0 means "not matched".

  Args:
    entries: all annotations of the file.
  """

  def __init__(self, entries: list[Entry]):
    self._seen: set[int] = set()
    self._next = (
      max((entry['id'] for entry in entries if _is_integer(entry.get('id'))), default=0) + 1
    )
    self._next = max(self._next, 1)

  def take(self, entry: Entry) -> bool:
    """Whether the id is a positive integer that is still free; if so, it is taken now."""
    id_: Any = entry.get('id')
    if not _is_integer(id_) or id_ <= 0 or id_ in self._seen:
      return False
    self._seen.add(id_)
    return True

  def new(self) -> int:
    """An id that no annotation of the file has."""
    self._next += 1
    return self._next - 1


def _read_annotations(
  entries: list[Entry],
  images: dict[int, Entry],
  classes: tuple[Category, ...],
  report: CheckReport,
  include_masks: bool,
) -> dict[int, list[Entry]]:
  kept: dict[int, list[Entry]] = {image_id: [] for image_id in images}
  originals: dict[Any, Entry] = {}
  category_ids = {category.id for category in classes}
  ids = _AnnotationIds(entries)
  for entry in entries:
    _check_category(entry, category_ids)
    image = images.get(entry['image_id']) if _is_integer(entry.get('image_id')) else None
    if image is None:
      report.add(
        'unknown_image_id', f'annotation {entry.get("id")} of image {entry.get("image_id")}'
      )
      continue
    original = originals.setdefault(entry['id'], entry) if _is_integer(entry.get('id')) else None
    if original is not entry and original == entry:
      report.add('duplicate_annotation', f'annotation {entry["id"]}')
      continue
    cleaned = _clean_annotation(entry, image, report, include_masks)
    if cleaned is not None:
      if not ids.take(cleaned):
        report.add('annotation_id_renumbered', f'annotation {cleaned.get("id")}')
        cleaned['id'] = ids.new()
      kept[image['id']].append(cleaned)
  return kept


def _check_category(entry: Entry, category_ids: set[int]) -> None:
  category_id = entry.get('category_id')
  if not _is_integer(category_id) or category_id not in category_ids:
    known = sorted(category_ids)
    shown = ', '.join(map(str, known[:20])) + (', ...' if len(known) > 20 else '')
    raise DataError(
      f'Annotation {entry.get("id")} has the unknown category id {category_id!r}',
      expected=f'one of the ids in "categories": {shown}',
      got=repr(category_id),
      likely_cause='annotations and categories of different data sets',
    )


def _clean_annotation(
  entry: Entry, image: Entry, report: CheckReport, include_masks: bool
) -> Entry | None:
  """A repaired copy of an annotation, or None if nothing usable remains."""
  name = f'annotation {entry.get("id")}'
  box = _clean_box(entry.get('bbox'), image, name, report)
  if box is None:
    return None
  cleaned = {**entry, 'bbox': box, 'iscrowd': int(bool(entry.get('iscrowd', 0)))}
  if include_masks:
    segmentation, check = segmentations.clean(
      entry.get('segmentation'), image['height'], image['width']
    )
    if check:
      report.add(check, name)
    if segmentation is None:
      return None
    cleaned['segmentation'] = segmentation
  if not segmentations.is_finite_number(entry.get('area')) or entry['area'] <= 0:
    report.add('area_filled', name)
    cleaned['area'] = _area(cleaned, image, include_masks)
  return cleaned


def _clean_box(box: Any, image: Entry, name: str, report: CheckReport) -> list[float] | None:
  """The box (x, y, width, height) clipped to the image, or None if it has no area inside."""
  if (
    not isinstance(box, list) or len(box) != 4 or not all(map(segmentations.is_finite_number, box))
  ):
    report.add('bad_box', name)
    return None
  x, y, box_width, box_height = box
  left, top = max(x, 0), max(y, 0)
  right, bottom = min(x + box_width, image['width']), min(y + box_height, image['height'])
  if right <= left or bottom <= top:
    report.add('box_outside', name)
    return None
  if left == x and top == y and right == x + box_width and bottom == y + box_height:
    return box
  report.add('box_clipped', name)
  return [left, top, right - left, bottom - top]


def _area(entry: Entry, image: Entry, include_masks: bool) -> float:
  if include_masks:
    return segmentations.area(entry['segmentation'], image['height'], image['width'])
  return entry['bbox'][2] * entry['bbox'][3]
