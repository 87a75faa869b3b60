"""Normalization of COCO entries: integer ids, names and sizes, whatever a tool wrote.

Conversion and evaluation read annotations through this module, so that both take the same
annotations from a file. A bad entry is skipped and counted; two entries that contradict each other
raise a DataError.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlparse

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry, section
from htc_tf.data.check_report import CheckReport
from htc_tf.errors import DataError

_URL_KEYS = ('coco_url', 'flickr_url', 'url')

SizeReader = Callable[[str], tuple[int, int] | None]


class CocoEntries(NamedTuple):
  """The normalized entries of a file.

  Attributes:
    categories: categories with distinct integer `id` and text `name`.
    images: images with distinct integer `id`, `file_name`, and integer `height` and `width`.
    annotations: annotations of these images and categories, with their integer ids; `id` and all
      other values are as in the file.
    num_annotations: number of annotations in the file.
  """

  categories: list[Entry]
  images: list[Entry]
  annotations: list[Entry]
  num_annotations: int


class _Ids:
  """Integer ids for the ids of a section.

  Ids that stand for integers keep them. If all ids are text, or need more than 64 bits, they are
  numbered in the order of the file.

  Args:
    values: ids of all entries.
  """

  def __init__(self, values: Iterable[Any]):
    values = list(values)
    self.are_numbered = (
      bool(values) and all(map(_is_name, values)) and None in map(json_values.integer, values)
    )
    self._numbers: dict[str, int] = {}
    if self.are_numbered:
      for value in values:
        self._numbers.setdefault(str(value), len(self._numbers) + 1)

  def get(self, value: Any) -> int | None:
    """The integer id; None if the value is not an id of this section."""
    if not self.are_numbered:
      return json_values.integer(value)
    return self._numbers.get(str(value)) if _is_name(value) else None


def _is_name(value: Any) -> bool:
  """Whether a value can be an id that is not a small integer: text, or an integer of any size."""
  return isinstance(value, (str, int)) and not isinstance(value, bool) and value != ''


def normalize(
  content: Entry,
  path: str,
  report: CheckReport,
  size_of: SizeReader | None = None,
  needs_files: bool = True,
) -> CocoEntries:
  """The usable entries of an annotation file, normalized.

  Args:
    content: content of the file.
    path: path of the file, for messages.
    report: counts of the findings.
    size_of: function from a file name to height and width of that image, or None if the image
      cannot be read; it is called for images without a usable size.
    needs_files: whether an image needs a file name.

  Raises:
    DataError: a section is missing or empty, no image or category is usable, or two entries
      contradict each other.
  """
  categories, category_ids = _categories(section(content, 'categories', path, report), path, report)
  image_entries = section(content, 'images', path, report)
  if not needs_files:
    image_entries = [{'file_name': f'id {entry.get("id")}', **entry} for entry in image_entries]
  images, image_ids = _images(image_entries, path, report, size_of)
  entries = section(content, 'annotations', path, report, may_be_empty=True)
  known_images = {image['id'] for image in images}
  known_categories = {category['id'] for category in categories}
  annotations = []
  for entry in entries:
    image, category = (
      image_ids.get(entry.get('image_id')),
      category_ids.get(entry.get('category_id')),
    )
    name = f'annotation {entry.get("id")}'
    if image not in known_images:
      report.add('unknown_image_id', f'{name} of image {entry.get("image_id")!r}')
    elif category not in known_categories:
      report.add('unknown_category_id', f'{name} of category {entry.get("category_id")!r}')
    else:
      annotations.append({**entry, 'image_id': image, 'category_id': category})
  return CocoEntries(categories, images, annotations, len(entries))


def _categories(entries: list[Entry], path: str, report: CheckReport) -> tuple[list[Entry], _Ids]:
  ids = _Ids(entry.get('id') for entry in entries)
  if ids.are_numbered:
    report.add('text_ids_numbered', 'ids of categories')
  kept: dict[int, Entry] = {}
  for entry in entries:
    id_, name = ids.get(entry.get('id')), entry.get('name')
    if not isinstance(name, str) or not name:
      name = str(entry.get('id') if name is None else name)
      report.add('category_without_name', name)
    if id_ is None:
      report.add('bad_category', str(entry)[:60])
    elif id_ not in kept:
      kept[id_] = {**entry, 'id': id_, 'name': name}
    elif kept[id_]['name'] == name:
      report.add('duplicate_category', name)
    else:
      raise DataError(
        f'Category id {id_} is given twice in {path}',
        expected='one category per id',
        got=f'{kept[id_]["name"]!r} and {name!r}',
        likely_cause='files that were merged without new ids',
      )
  if not kept:
    raise DataError(
      f'No category in {path} is usable',
      expected='an integer id, or ids that are all text, and a name',
      got=str(entries[0])[:200],
      likely_cause='the file of another tool',
    )
  return list(kept.values()), ids


def _images(
  entries: list[Entry], path: str, report: CheckReport, size_of: SizeReader | None
) -> tuple[list[Entry], _Ids]:
  ids = _Ids(entry.get('id') for entry in entries)
  if ids.are_numbered:
    report.add('text_ids_numbered', 'ids of images')
  kept: dict[int, Entry] = {}
  for entry in entries:
    id_, name = ids.get(entry.get('id')), _file_name(entry)
    if id_ is None or name is None:
      report.add('bad_image', str(entry)[:60])
    elif id_ in kept:
      _check_same_file(kept[id_]['file_name'], name, id_, path)
      report.add('duplicate_image', name)
    else:
      size = _size(entry, name, report, size_of)
      if size is None:
        report.add('image_without_size', name)
      else:
        kept[id_] = {**entry, 'id': id_, 'file_name': name, 'height': size[0], 'width': size[1]}
  if not kept:
    raise DataError(
      f'No image entry in {path} is usable',
      expected='an id, a file_name, and a positive height and width',
      got=str(entries[0])[:200],
      likely_cause='the file of another tool',
    )
  return list(kept.values()), ids


def _check_same_file(known: str, name: str, id_: int, path: str) -> None:
  if known != name:
    raise DataError(
      f'Image id {id_} is given twice in {path}',
      expected='one image per id',
      got=f'{known!r} and {name!r}',
      likely_cause='files that were merged without new ids',
    )


def _file_name(entry: Entry) -> str | None:
  """The file name, or the last part of a URL where it is missing."""
  name = entry.get('file_name')
  if isinstance(name, str) and name:
    return name
  urls = (entry.get(key) for key in _URL_KEYS)
  names = (os.path.basename(urlparse(url).path) for url in urls if isinstance(url, str))
  return next(filter(None, names), None)


def _size(
  entry: Entry, name: str, report: CheckReport, size_of: SizeReader | None
) -> tuple[int, int] | None:
  height, width = (json_values.integer(entry.get(side)) for side in ('height', 'width'))
  if height is not None and width is not None and min(height, width) > 0:
    return height, width
  size = size_of(name) if size_of else None
  if size is not None:
    report.add('size_read_from_image', name)
  return size
