"""Panoptic COCO: a JSON file and a folder of PNG files whose colors number the segments.

Segments of things become instances. The semantic map has all categories, things and stuff, ordered
by id, with the labels 0..N-1; what belongs to no segment is ignored.
"""

import itertools
import os
from typing import Any

import numpy as np

from htc_tf import progress
from htc_tf.data import coco_entries, image_paths, json_values, mask_codec, panoptic_maps
from htc_tf.data.annotation_file import Entry, section
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import coco, image_locations
from htc_tf.data.formats.annotation_source import AnnotationSource
from htc_tf.data.formats.source_files import SourceFiles, stem
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.errors import DataError

NAME = 'panoptic COCO'
LABELS_KEY = 'semantic_categories'  # of the header of the cleaned annotations
_MAX_LABELS = 255
_LOOKED_AT = 3  # Maps that show their folder.


def recognize(files: SourceFiles) -> bool:
  """Whether there is a panoptic JSON file."""
  return 'panoptic' in files.json_kinds


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The things of panoptic annotations as instances, and the labels of all segments.

  An image entry gets `panoptic`: the name of its map and the label of each segment.

  Args:
    files: the annotation files.
    options: options of the conversion; `stuff_folder` may name the folder of the maps.

  Raises:
    DataError: a section is malformed, no map is found, or there are too many categories.
  """
  report = files.report
  name = coco.one_of_kind(files, 'panoptic', options.split)
  content = files.json(name)
  categories = _categories(section(content, 'categories', name, report), report, files.path)
  entries = section(content, 'annotations', name, report)
  folder = options.stuff_folder or _folder_of_maps(files, name, entries)
  labels = {id_: label for label, id_ in enumerate(sorted(categories))}
  images = [dict(image) for image in section(content, 'images', name, report)]
  by_id = {_key(image.get('id')): image for image in images}
  annotations: list[Entry] = []
  unusable: set[str] = set()
  for entry in progress.track(entries, description='reading panoptic maps', unit='map'):
    image = by_id.get(_key(entry.get('image_id')))
    if image is None:
      report.add('unknown_image_id', f'{entry.get("file_name")}')
      continue
    segments = _segments(entry, categories, report)
    image['panoptic'] = {
      'file_name': str(entry.get('file_name') or ''),
      'labels': {str(number): labels[category] for number, (category, _) in segments.items()},
    }
    found = _instances(entry, image, segments, categories, folder, report)
    if found is None:
      unusable.add(_key(image.get('id')))
    annotations += found or []
  for number, annotation in enumerate(annotations, 1):
    annotation['id'] = number
  without = [image for image in images if 'panoptic' not in image]
  for image in without:
    report.add('unannotated_image', str(image.get('file_name')))
  things = [entry for _, entry in sorted(categories.items()) if _is_thing(entry)]
  made = {
    'images': [
      image for image in images if 'panoptic' in image and _key(image.get('id')) not in unusable
    ],
    'annotations': annotations,
    'categories': things,
    LABELS_KEY: [{**categories[id_], 'label': label} for id_, label in labels.items()],
  }
  image_folder = options.image_folder or coco.found_folder(files, name, made, folder)
  return AnnotationSource(NAME, made, image_folder, files.digest(), report, folder)


def _key(id_: Any) -> str:
  """The same text for all forms of an id."""
  number = json_values.integer(id_)
  return str(id_ if number is None else number)


def _categories(entries: list[Entry], report: CheckReport, path: str) -> dict[int, Entry]:
  found: dict[int, Entry] = {}
  for entry in entries:
    id_ = json_values.integer(entry.get('id'))
    if id_ is None:
      report.add('bad_category', str(entry)[:60])
    else:
      found.setdefault(id_, {**entry, 'id': id_})
  if not found or len(found) > _MAX_LABELS or not any(map(_is_thing, found.values())):
    raise DataError(
      f'The categories of {path} cannot be used',
      expected=f'1 to {_MAX_LABELS} categories with ids, and a thing ("isthing": 1) among them',
      got=f'{len(found)} categories',
      likely_cause='a file without things, or damaged',
    )
  return found


def _is_thing(category: Entry) -> bool:
  return bool(json_values.flag(category.get('isthing', 1)))


def _segments(
  entry: Entry, categories: dict[int, Entry], report: CheckReport
) -> dict[int, tuple[int, bool]]:
  """Category and crowd flag of the segments of an image by their numbers."""
  found: dict[int, tuple[int, bool]] = {}
  listed = entry.get('segments_info')
  for info in listed if isinstance(listed, list) else []:
    read_info: Any = info if isinstance(info, dict) else {}
    number = json_values.integer(read_info.get('id'))
    category = json_values.integer(read_info.get('category_id'))
    if number is None or category not in categories:
      report.add('shape_without_class', f'segment {str(info)[:40]} of {entry.get("file_name")}')
    else:
      found[number] = (category, bool(json_values.flag(read_info.get('iscrowd'))))
  return found


def _instances(
  entry: Entry,
  image: Entry,
  segments: dict[int, tuple[int, bool]],
  categories: dict[int, Entry],
  folder: str,
  report: CheckReport,
) -> list[Entry] | None:
  """Annotations of the things of a map; None if it cannot be read or is not of the image's size."""
  things = {n: item for n, item in segments.items() if _is_thing(categories[item[0]])}
  name = str(entry.get('file_name') or '')
  try:
    numbers = panoptic_maps.read(image_paths.path_inside(folder, name))
  except (UnreadableImageError, OSError) as error:
    report.add('annotation_file_unusable', f'{name}: {error}')
    return None
  sides = tuple(json_values.integer(image.get(side)) for side in ('height', 'width'))
  if None not in sides and numbers.shape != sides:
    report.add('annotation_file_unusable', f'{name} ({numbers.shape[1]}x{numbers.shape[0]})')
    return None
  found = []
  for number, (category, is_crowd) in sorted(things.items()):
    mask = numbers == number
    area = int(mask.sum())
    if not area:
      report.add('shape_unusable', f'segment {number} of {name}')
      continue
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = float(rows[0]), float(columns[0])
    box = [left, top, float(columns[-1]) - left + 1, float(rows[-1]) - top + 1]
    found.append(
      {
        'image_id': entry['image_id'],
        'category_id': category,
        'iscrowd': int(is_crowd),
        'area': area,
        'bbox': box,
        'segmentation': mask_codec.encode(mask),
      }
    )
  return found


def _folder_of_maps(files: SourceFiles, name: str, entries: list[Entry]) -> str:
  """The folder of the maps: named like the JSON file, or any folder whose files have the segments.

  Images may have the same names as the maps.
  """
  path = files.absolute(name)
  beside = SourceFiles(os.path.dirname(path), files.report)
  candidates = [os.path.splitext(path)[0], *image_locations.folders_near(beside, stem(name))]
  # A map or two may be damaged.
  named = ((entry, coco_entries.file_name(entry)) for entry in entries)
  first = list(itertools.islice(((e, map_name) for e, map_name in named if map_name), _LOOKED_AT))
  for folder in candidates:
    if any(_has_segments(os.path.join(folder, map_name), entry) for entry, map_name in first):
      return folder
  raise DataError(
    f'The panoptic maps of {path} are not found',
    expected=f'a folder {stem(name)} beside it, or --stuff_folder',
    got=f'no map {first[0][1]} near it' if first else 'no file_name in "annotations"',
    likely_cause='maps that are still in an archive',
  )


def _has_segments(path: str, entry: Entry) -> bool:
  """Whether a file is a map with a segment of an entry."""
  try:
    numbers = set(np.unique(panoptic_maps.read(path)).tolist())
  except (UnreadableImageError, OSError, ValueError):
    return False
  listed = entry.get('segments_info')
  infos = [info for info in listed if isinstance(info, dict)] if isinstance(listed, list) else []
  return any(json_values.integer(info.get('id')) in numbers for info in infos)
