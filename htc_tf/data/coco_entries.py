"""Normalization of COCO entries: integer ids, names and sizes, whatever a tool wrote.

Conversion and evaluation read annotations through this module, so that both take the same
annotations from a file. A bad entry is skipped and counted; two entries that contradict each other
raise a DataError.
"""

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urlparse

from htc_tf.data import annotated_extents, json_values
from htc_tf.data.annotation_file import Entry, section
from htc_tf.data.check_report import CheckReport
from htc_tf.data.entry_ids import EntryIds
from htc_tf.data.value_reader import ValueReader
from htc_tf.errors import DataError

# pycocotools counts pixels by integers of 32 bits.
_MAX_PIXELS = 2**31 - 1
_URL_KEYS = ('coco_url', 'flickr_url', 'url')

SizeReader = Callable[[Entry], tuple[int, int] | None]


class CocoEntries(NamedTuple):
  """The normalized entries of a file.

  Attributes:
    categories: categories with distinct integer `id` and text `name`.
    images: images with distinct integer `id`, `file_name`, and integer `height` and `width`.
    annotations: annotations of these images and categories, with their integer ids; `id` and all
      other values are as in the file.
    num_images: number of image entries in the file.
    num_annotations: number of annotations in the file.
  """

  categories: list[Entry]
  images: list[Entry]
  annotations: list[Entry]
  num_images: int
  num_annotations: int


class _Ids(NamedTuple):
  """Ids of a section: how they are read, which ones the file has, and which of them are kept."""

  reader: EntryIds
  listed: set[int]
  kept: set[int]


def normalize(
  content: Entry,
  path: str,
  report: CheckReport,
  size_of: SizeReader | None = None,
  for_evaluation: bool = False,
) -> CocoEntries:
  """The usable entries of an annotation file, normalized.

  Where ids are numbered, the entries keep the id of the file as `original_id`.

  Args:
    content: content of the file.
    path: path of the file, for messages.
    report: counts of the findings.
    size_of: function from an image entry with a `file_name` to height and width of that image, or
      None if they cannot be found; it is called for images without a usable size.
    for_evaluation: whether an image needs no file name, and one without a size is as large as its
      annotations reach and has a true `size_unknown`; `size_of` is then not used.

  Raises:
    DataError: a section is missing or empty, no image or category is usable, or two entries
      contradict each other.
  """
  categories, category_ids = _categories(section(content, 'categories', path, report), path, report)
  image_entries = section(content, 'images', path, report)
  entries = section(content, 'annotations', path, report, may_be_empty=True)
  if for_evaluation:
    image_entries = [_with_file_name(entry) for entry in image_entries]
    size_of = annotated_extents.size_reader(entries)
  sizes = _Sizes(report, size_of, for_evaluation)
  images, image_ids = _images(image_entries, path, report, sizes)
  annotations = [
    found for entry in entries if (found := _annotation(entry, image_ids, category_ids, report))
  ]
  counts = [len(content.get(key, [])) for key in ('images', 'annotations')]
  return CocoEntries(categories, images, annotations, *counts)


def _with_file_name(entry: Entry) -> Entry:
  """An image entry that has a file name in any case."""
  named = {} if file_name(entry) else {'file_name': f'id {entry.get("id")}'}
  return {**entry, **named}


def _annotation(
  entry: Entry, image_ids: _Ids, category_ids: _Ids, report: CheckReport
) -> Entry | None:
  """The annotation with integer ids of its image and category; None if one of them is unknown."""
  name = f'annotation {entry.get("id")}'
  image = image_ids.reader.get(entry.get('image_id'), f'image_id of {name}')
  category = category_ids.reader.get(entry.get('category_id'), f'category_id of {name}')
  if image not in image_ids.kept:
    check = 'image_dropped' if image in image_ids.listed else 'unknown_image_id'
    report.add(check, f'{name} of image {entry.get("image_id")!r}')
  elif category not in category_ids.kept:
    report.add('unknown_category_id', f'{name} of category {entry.get("category_id")!r}')
  else:
    return {**entry, 'image_id': image, 'category_id': category}
  return None


def _categories(entries: list[Entry], path: str, report: CheckReport) -> tuple[list[Entry], _Ids]:
  # In the order of their ids, so that files with the same categories get the same numbers.
  ids = EntryIds(sorted((entry.get('id') for entry in entries), key=str), 'categories', report)
  kept: dict[int, Entry] = {}
  for entry in entries:
    id_ = ids.get(entry.get('id'), 'id of a category')
    if id_ is None:
      report.add('bad_category', str(entry)[:60])
      continue
    name = _category_name(entry, report)
    if id_ not in kept:
      kept[id_] = ids.identified(entry, id_, name=name)
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
  return list(kept.values()), _Ids(ids, set(kept), set(kept))


def _category_name(entry: Entry, report: CheckReport) -> str:
  """The name of a category as text that can be printed; its id if it has none."""
  name = entry.get('name')
  if json_values.is_finite_number(name):
    report.add('category_name_form', str(name))
    return str(name)
  if not isinstance(name, str) or not name:
    name = str(entry.get('id'))
    report.add('category_without_name', name)
  printable = name.encode(errors='backslashreplace').decode()
  if printable != name:
    report.add('category_name_form', printable)
  return printable


def _images(
  entries: list[Entry], path: str, report: CheckReport, sizes: '_Sizes'
) -> tuple[list[Entry], _Ids]:
  ids = EntryIds([entry.get('id') for entry in entries], 'images', report)
  listed: set[int] = set()
  kept: dict[int, Entry] = {}
  for entry in entries:
    id_, name = ids.get(entry.get('id'), 'id of an image'), file_name(entry)
    listed |= set() if id_ is None else {id_}
    if id_ is None or name is None:
      report.add('bad_image', str(entry)[:60])
    elif id_ in kept:
      _check_same_file(kept[id_]['file_name'], name, id_, path)
      report.add('duplicate_image', name)
    else:
      if entry.get('file_name') != name:
        report.add('file_name_from_url', name)
      size = sizes.get({**entry, 'file_name': name})
      if size:
        kept[id_] = ids.identified(entry, id_, file_name=name, **size)
  if not kept:
    raise DataError(
      f'No image entry in {path} is usable',
      expected='an id, a file_name, and a positive height and width',
      got=str(entries[0])[:200],
      likely_cause='the file of another tool',
    )
  return list(kept.values()), _Ids(ids, listed, set(kept))


def _check_same_file(known: str, name: str, id_: int, path: str) -> None:
  if known != name:
    raise DataError(
      f'Image id {id_} is given twice in {path}',
      expected='one image per id',
      got=f'{known!r} and {name!r}',
      likely_cause='files that were merged without new ids',
    )


def file_name(entry: Entry) -> str | None:
  """The file name, or the last part of a URL where it is missing."""
  name = entry.get('file_name')
  if isinstance(name, str) and name:
    return name
  return os.path.basename(url_path(entry)) or None


def url_path(entry: Entry) -> str:
  """The path in the first usable URL of an image entry; empty if it has none."""
  for key in _URL_KEYS:
    url = entry.get(key)
    with contextlib.suppress(ValueError):  # Brackets that enclose no address.
      path = unquote(urlparse(url).path) if isinstance(url, str) else ''
      if os.path.basename(path):
        return path
  return ''


class _Sizes:
  """Heights and widths of images.

  Args:
    report: counts of the findings.
    size_of: function for images without a usable size, or None.
    are_guessed: whether that function guesses.
  """

  def __init__(self, report: CheckReport, size_of: SizeReader | None, are_guessed: bool):
    self._report = report
    self._reader = ValueReader(report)
    self._size_of = size_of
    self._are_guessed = are_guessed

  def get(self, entry: Entry) -> Entry:
    """The values of an image entry that give its size; empty if that cannot be found."""
    name = entry['file_name']
    height, width = (
      self._reader.integer(entry.get(side), f'{side} of {name}') for side in ('height', 'width')
    )
    if height and width and height > 0 and 0 < height * width <= _MAX_PIXELS:
      return {'height': height, 'width': width}
    size = self._size_of(entry) if self._size_of else None
    if size is None:
      self._report.add('image_without_size', name)
      return {}
    self._report.add('size_unknown' if self._are_guessed else 'size_read_from_image', name)
    guessed = {'size_unknown': True} if self._are_guessed else {}
    return {'height': size[0], 'width': size[1], **guessed}
