"""Image and category ids of a COCO file, for results that `COCO(file).loadRes` reads."""

import collections
import os
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from htc_tf.data import annotation_file, coco_entries
from htc_tf.data.check_report import CheckReport
from htc_tf.errors import InputError
from htc_tf.serving import input_files
from htc_tf.serving.input_files import InputImage


class AnnotatedImages(NamedTuple):
  """The images and categories of a COCO file, with the ids as they are in the file.

  Attributes:
    path: path of the file.
    images: `id` and `file_name` of each image.
    categories: `id` and `name` of each category.
  """

  path: str
  images: list[dict[str, Any]]
  categories: list[dict[str, Any]]


def read_annotated_images(path: str) -> AnnotatedImages:
  """The images and categories of a COCO file; it may be one without annotations.

  Raises:
    DataError: the file cannot be read, has another format, or has no image or category.
  """
  report = CheckReport()
  content = annotation_file.read_annotation_file(path, report)
  images = [
    {'id': entry['id'], 'file_name': coco_entries.file_name(entry) or ''}
    for entry in annotation_file.section(content, 'images', path, report)
    if isinstance(entry.get('id'), (int, float, str))
  ]
  categories = [
    {'id': entry['id'], 'name': str(entry.get('name', entry['id'])).strip()}
    for entry in annotation_file.section(content, 'categories', path, report)
    if isinstance(entry.get('id'), (int, float, str))
  ]
  return AnnotatedImages(path, [entry for entry in images if entry['file_name']], categories)


def plan_annotated(
  paths: Sequence[str], annotated: AnnotatedImages
) -> tuple[list[InputImage], dict[str, str]]:
  """The files that the COCO file names, with its ids and names, and the other files.

  A file is found by the longest end of its path that is a `file_name`, otherwise by its base name
  if only one image has it. The Unicode form of accents does not matter.

  Args:
    paths: files, in order.
    annotated: images of the COCO file.

  Returns:
    The images, and for each path that is left out the reason.

  Raises:
    InputError: the COCO file names none of the files.
  """
  find = _Finder(annotated.images)
  entries: dict[str, dict[str, Any]] = {}
  taken: dict[Any, str] = {}
  left_out = {}
  for path in input_files.unique_paths(paths):
    entry = find(path)
    if entry is None:
      left_out[path] = f'{annotated.path} has no image of this name'
    elif entry['id'] in taken:
      left_out[path] = f'{taken[entry["id"]]} has the id {entry["id"]}'
    else:
      entries[path], taken[entry['id']] = entry, path
  if not entries:
    raise InputError(
      f'{annotated.path} names none of the images',
      expected=f'images such as {annotated.images[0]["file_name"] if annotated.images else "none"}',
      got=f'{len(left_out)} images, such as {next(iter(left_out), "none")}',
      likely_cause='the annotations of another split',
    )
  overlays = input_files.overlay_names([entry['file_name'] for entry in entries.values()])
  images = [
    InputImage(path, entry['id'], entry['file_name'], overlay)
    for (path, entry), overlay in zip(entries.items(), overlays)
  ]
  return images, left_out


def category_ids(
  annotated: AnnotatedImages, names: Sequence[str], ids: Sequence[int]
) -> tuple[list[str], list[Any]]:
  """Names and ids of the classes in results for a COCO file; entry 0 is class 1.

  A class has the id of the category of its name. A class without such a category keeps its own id.
  If the classes of a model are unknown, they are the categories in the order of their ids.

  Args:
    annotated: categories of the COCO file.
    names: names of the classes of the model; empty if unknown.
    ids: category ids of these classes.

  Raises:
    InputError: no class has the name of a category, or a class without one has an id that means
      another category in the file.
  """
  in_file = {entry['id']: entry['name'] for entry in annotated.categories}
  if not names:
    ordered = sorted(annotated.categories, key=lambda entry: (str(type(entry['id'])), entry['id']))
    return [entry['name'] for entry in ordered], [entry['id'] for entry in ordered]
  by_name = {name: id_ for id_, name in reversed(in_file.items())}
  found = [
    id_ if in_file.get(id_) == name else by_name.get(name, id_) for name, id_ in zip(names, ids)
  ]
  strange = [f'{id_} ({name})' for name, id_ in zip(names, found) if in_file.get(id_, name) != name]
  if strange or not set(names) & set(by_name):
    raise InputError(
      f'The categories of {annotated.path} are not those of the model',
      expected=', '.join(f'{id_} ({name})' for name, id_ in zip(names, ids)),
      got=', '.join(f'{id_} ({name})' for id_, name in in_file.items()),
      likely_cause='the annotations of another data set',
    )
  return list(names), found


class _Finder:
  """The image entry for a path.

  Args:
    images: entries with `file_name`.
  """

  def __init__(self, images: list[dict[str, Any]]):
    names = [_parts(entry['file_name']) for entry in images]
    self._by_name = dict(zip(map('/'.join, names), images))
    num_same = collections.Counter(parts[-1] for parts in names)
    self._by_base = {
      parts[-1]: entry for parts, entry in zip(names, images) if num_same[parts[-1]] == 1
    }

  def __call__(self, path: str) -> dict[str, Any] | None:
    parts = _parts(os.path.abspath(path))
    ends = ('/'.join(parts[start:]) for start in range(len(parts)))
    found = (self._by_name[end] for end in ends if end in self._by_name)
    return next(found, None) or self._by_base.get(parts[-1])


def _parts(name: str) -> list[str]:
  """Folders and base name, with accents in one Unicode form."""
  normal = unicodedata.normalize('NFC', name.replace('\\', '/'))
  return [part for part in normal.split('/') if part not in ('', '.')] or ['']
