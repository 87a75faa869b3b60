"""LabelMe 5 folders: one JSON file a picture."""

import base64
import binascii
import posixpath
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from htc_tf import progress
from htc_tf.data import images, json_values, mask_codec
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, json_kinds, shapes
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.grouped_shapes import Shape, add_grouped
from htc_tf.data.formats.source_files import SourceFiles, stem

NAME = 'LabelMe JSON files'
_LINES = ('line', 'linestrip', 'point', 'points')
_NO_OBJECTS = ('__ignore__', '_background_')


class _Picture(NamedTuple):
  """One file: possible names of the image, its size, and its shapes."""

  wanted: list[str]
  size: tuple[int, int] | None
  shapes: list[Any]


def recognize(files: SourceFiles) -> bool:
  """Whether there is a LabelMe file."""
  return 'labelme' in files.json_kinds


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The shapes of all LabelMe files below a folder.

  Polygons, rectangles, circles and masks are objects; lines and points are dropped. Shapes of one
  label and group are one object. Images are found by `imagePath`, whatever machine wrote it, or by
  the name of the JSON file. `split` keeps the files with that folder in their path.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: there is no image, or no object.
  """
  report = files.report
  pictures = list(_pictures(files, files.of_split(files.of_type('.json'), options.split)))
  located = image_locations.locate(
    files,
    options.image_folder,
    [item.wanted for item in pictures],
    report=None if options.split else report,
  )
  builder = ContentBuilder(files, located.folder, options)
  for name, picture in zip(located.names, pictures):
    image = builder.add_image(name, picture.size)
    size = (image['height'], image['width']) if 'height' in image else None
    add_grouped(builder, image, _shapes(picture.shapes, size, name, report), report)
  return builder.source(NAME)


def _pictures(files: SourceFiles, names: list[str]) -> Iterable[_Picture]:
  for name in progress.track(names, description='reading annotations', unit='file'):
    content = files.json(name)
    if json_kinds.kind_of(content) != 'labelme':
      files.report.add('other_file' if content is not None else 'annotation_file_unusable', name)
      continue
    folder = posixpath.dirname(name)
    sides = [json_values.integer(content.get(f'image{side}')) for side in ('Height', 'Width')]
    size = (sides[0], sides[1]) if sides[0] and sides[1] else None
    yield _Picture(_wanted(content.get('imagePath'), folder, name), size, content['shapes'])


def _wanted(path: Any, folder: str, name: str) -> list[str]:
  """Possible names of the image: the path in the file, and the name of the file."""
  own = posixpath.join(folder, stem(name))
  if not isinstance(path, str) or not path or '\0' in path:
    return [own]
  path = path.replace('\\', '/')
  is_elsewhere = path.startswith('/') or path[1:2] == ':'
  relative = posixpath.basename(path) if is_elsewhere else path
  joined = posixpath.normpath(posixpath.join(folder, relative))
  return [joined.removeprefix('../'), own] if relative else [own]


def _shapes(
  entries: list[Any], size: tuple[int, int] | None, name: str, report: CheckReport
) -> list[Shape]:
  found = []
  for entry in entries:
    shape = _shape(entry, size, name, report) if isinstance(entry, dict) else None
    if shape is not None:
      found.append(shape)
    elif not isinstance(entry, dict):
      report.add('shape_unusable', name)
  return found


def _shape(
  entry: Entry, size: tuple[int, int] | None, name: str, report: CheckReport
) -> Shape | None:
  label = entry.get('label')
  label = str(label).strip() if isinstance(label, (str, int, float)) else ''
  kind = entry.get('shape_type') or 'polygon'
  example = f'{kind} {label} in {name}'
  if not label or label in _NO_OBJECTS:
    report.add('shape_without_class', example)
  elif kind in _LINES:
    report.add('shape_without_area', example)
  elif kind == 'mask':
    runs = _mask(entry, size)
    if runs is not None:
      return Shape(label, _group(entry), runs=runs)
    report.add('shape_unusable', example)
  else:
    polygon = _polygon(kind, shapes.points(entry.get('points')), example, report)
    return Shape(label, _group(entry), polygon) if polygon else None
  return None


def _group(entry: Entry) -> Any:
  group = entry.get('group_id')
  return group if isinstance(group, (int, str)) and group != '' else None


def _polygon(
  kind: Any, points: shapes.Polygon | None, example: str, report: CheckReport
) -> shapes.Polygon | None:
  number = len(points or []) // 2
  if kind == 'circle' and points and number == 2:
    report.add('ellipse_as_polygon', example)
    radius = float(np.hypot(points[2] - points[0], points[3] - points[1]))
    return shapes.ellipse(points[0], points[1], radius, radius)
  if kind == 'rectangle' and points and number in (2, 4):
    report.add('rectangle_as_mask', example)
    left, top, width, height = shapes.bounds([points])
    return shapes.rectangle(left, top, left + width, top + height)
  if kind in ('polygon', 'rotation', 'oriented_rectangle') and points and number > 2:
    return points
  is_known = kind in ('polygon', 'rectangle', 'circle', 'rotation', 'oriented_rectangle')
  report.add('shape_unusable' if is_known else 'shape_unknown', example)
  return None


def _mask(entry: Entry, size: tuple[int, int] | None) -> dict[str, Any] | None:
  """Run lengths of a mask shape: a PNG of the box that the two points enclose, both included."""
  points = shapes.points(entry.get('points'))
  if not points or len(points) != 4 or size is None or size[0] * size[1] > images.MAX_PIXELS:
    return None
  try:
    content = base64.b64decode(entry.get('mask') or '', validate=True)
    bitmap = images.read_label_map(content) > 0
  except (images.UnreadableImageError, binascii.Error, TypeError, ValueError, OSError):
    return None
  left, top = (int(min(max(value, 0), max(size))) for value in points[:2])
  mask = np.zeros(size, bool)
  target = mask[top : top + bitmap.shape[0], left : left + bitmap.shape[1]]
  target |= bitmap[: target.shape[0], : target.shape[1]]
  return mask_codec.encode(mask)
