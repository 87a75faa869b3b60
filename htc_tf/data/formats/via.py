"""VGG Image Annotator 1 and 2: projects and annotations in JSON, and annotations in CSV."""

import collections
import csv
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import coco, image_locations, json_kinds, shapes
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.source_files import SourceFiles
from htc_tf.errors import ConfigError, DataError

NAME = 'VGG Image Annotator'
_CSV_HEADER = 'region_shape_attributes'
_NO_AREA = ('polyline', 'point', 'line')
# Attributes that usually hold a class, the likeliest first.
_USUAL = (
  *('class', 'label', 'labels', 'category', 'name', 'type', 'object', 'class_name', 'species'),
  *('object_name', 'kind'),
)


class _Region(NamedTuple):
  """A region: its shape and its attributes."""

  shape: Entry
  attributes: Entry


def recognize(files: SourceFiles) -> bool:
  """Whether there is a JSON or CSV file of the tool."""
  return 'via' in files.json_kinds or 'via3' in files.json_kinds or bool(_csv_names(files))


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The regions of a file; those without an area are dropped.

  The class is in the attribute that `class_attribute` names, or in the one with a usual name such
  as `class` or `label`, or in the one that most regions have. Rectangles are masks, as the other
  shapes.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: the folder has several files, or there is no image or object.
    ConfigError: no region has the attribute.
  """
  report = files.report
  pictures = _pictures(files, options)
  regions = [region for _, found in pictures for region in found]
  attribute = _class_attribute(regions, options.class_attribute, report)
  located = image_locations.locate(
    files, options.image_folder, [[name] for name, _ in pictures], report=report
  )
  builder = ContentBuilder(files, located.folder, options)
  for name, (_, found) in zip(located.names, pictures):
    image = builder.add_image(name)
    for region in found:
      label = _label(region, attribute, options.class_name or 'object')
      polygon = _polygon(region.shape, f'{region.shape.get("name")} in {name}', report)
      if polygon and label:
        builder.add_polygons(image, label, [polygon])
      elif polygon:
        report.add('shape_without_class', f'{region.attributes} in {name}')
  return builder.source(NAME)


def _pictures(files: SourceFiles, options: ConversionOptions) -> list[tuple[str, list[_Region]]]:
  """File names of the pictures, sorted, and their regions."""
  if 'via3' in files.json_kinds:
    raise DataError(
      f'{files.path} is a project of VGG Image Annotator 3',
      expected='annotations of version 1 or 2',
      got='version 3',
      likely_cause='its export; choose COCO there',
    )
  by_name: dict[str, list[_Region]] = collections.defaultdict(list)
  if 'via' in files.json_kinds:
    content = files.json(coco.one_of_kind(files, 'via', options.split))
    entries = json_kinds.via_entries(content) or {}
  else:
    entries = _csv_entries(files)
  for key, entry in entries.items():
    name = entry.get('filename') if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
      files.report.add('bad_image', str(key)[:60])
    else:
      by_name[name].extend(_regions(entry.get('regions'), name, files.report))
  return sorted(by_name.items())


def _regions(listed: Any, name: str, report: CheckReport) -> Iterable[_Region]:
  """The regions of a picture: a list in version 2, an object in version 1."""
  values = list(listed.values()) if isinstance(listed, dict) else listed
  for region in values if isinstance(values, list) else []:
    shape = region.get('shape_attributes') if isinstance(region, dict) else None
    if not isinstance(shape, dict):
      report.add('shape_unusable', name)
      continue
    attributes = region.get('region_attributes')
    yield _Region(shape, attributes if isinstance(attributes, dict) else {})


def _class_attribute(regions: list[_Region], chosen: str, report: CheckReport) -> str:
  """The attribute with the class; '' if regions have no attribute."""
  counts = collections.Counter(
    key for region in regions for key in region.attributes if _label(region, key, '')
  )
  if chosen and not counts[chosen]:
    raise ConfigError(
      f'No region has the attribute {chosen!r}',
      expected='one of ' + (', '.join(sorted(counts)) or 'none'),
      got=f'--class_attribute={chosen}',
    )
  if chosen or not counts:
    if not counts:
      report.add('class_assumed', 'regions without attributes')
    return chosen
  usual = [key for name in _USUAL for key in counts if key.lower().strip() == name]
  best = max(counts.values())
  found = next((key for key in usual if counts[key] >= best / 2), None)
  found = found or min(key for key in counts if counts[key] == best)
  if len(counts) > 1:
    report.add('class_attribute', f'{found!r} of {sorted(counts)}')
  return found


def _label(region: _Region, attribute: str, default: str) -> str:
  """The class of a region; '' if it is not clear. Checkboxes are objects of flags."""
  if not attribute:
    return default
  value = region.attributes.get(attribute)
  if isinstance(value, dict):
    checked = [key for key, flag in value.items() if json_values.flag(flag)]
    value = checked[0] if len(checked) == 1 else ''
  is_text = isinstance(value, (str, int, float)) and not isinstance(value, bool)
  return str(value).strip() if is_text else ''


def _polygon(shape: Entry, example: str, report: CheckReport) -> shapes.Polygon | None:
  kind = shape.get('name')
  if kind in _NO_AREA:
    report.add('shape_without_area', example)
    return None
  if kind == 'polygon':
    x, y = shape.get('all_points_x'), shape.get('all_points_y')
    pairs = isinstance(x, list) and isinstance(y, list) and len(x) == len(y)
    found = shapes.points([list(point) for point in zip(x or [], y or [])]) if pairs else None
    if not found:
      report.add('shape_unusable', example)
    return found
  known = {'rect': _rectangle, 'circle': _circle, 'ellipse': _ellipse}
  read_shape = known.get(kind) if isinstance(kind, str) else None
  if read_shape is None:
    report.add('shape_unknown', example)
    return None
  polygon = read_shape(shape)
  counted = 'rectangle_as_mask' if kind == 'rect' else 'ellipse_as_polygon'
  report.add(counted if polygon else 'shape_unusable', example)
  return polygon


def _numbers(shape: Entry, *keys: str) -> list[float] | None:
  values = [json_values.number(shape.get(key)) for key in keys]
  found = [value for value in values if value is not None]
  return found if len(found) == len(keys) else None


def _rectangle(shape: Entry) -> shapes.Polygon | None:
  values = _numbers(shape, 'x', 'y', 'width', 'height')
  if values is None:
    return None
  left, top, width, height = values
  return shapes.rectangle(left, top, left + width, top + height)


def _circle(shape: Entry) -> shapes.Polygon | None:
  values = _numbers(shape, 'cx', 'cy', 'r')
  return values and shapes.ellipse(values[0], values[1], values[2], values[2])


def _ellipse(shape: Entry) -> shapes.Polygon | None:
  values = _numbers(shape, 'cx', 'cy', 'rx', 'ry')
  angle = json_values.number(shape.get('theta', 0)) or 0
  if values is None:
    return None
  x, y, radius_x, radius_y = values
  return shapes.ellipse(x, y, radius_x, radius_y, angle)


def _csv_names(files: SourceFiles) -> list[str]:
  names = files.of_type('.csv')
  return [name for name in names if any(_CSV_HEADER in line for line in files.lines(name)[:1])]


def _rows(files: SourceFiles, name: str) -> list[dict[str, str]]:
  """The rows of a CSV file, of which a field may be as long as the file."""
  lines = files.lines(name)
  limit = csv.field_size_limit(max(1, sum(map(len, lines))))
  try:
    return list(csv.DictReader(lines))
  except csv.Error as error:
    raise DataError(
      f'{files.path} is no CSV file', expected='annotations of the tool', got=str(error)
    ) from error
  finally:
    csv.field_size_limit(limit)


def _csv_entries(files: SourceFiles) -> dict[str, Entry]:
  """The rows of a CSV file in the form of the JSON file."""
  entries: dict[str, Entry] = {}
  (name, *others) = _csv_names(files)
  if others:
    raise DataError(
      f'{files.path} has several annotation files',
      expected='one file',
      got=', '.join([name, *others][:5]),
      likely_cause='several splits; name one of the files as --annotations',
    )
  for row in _rows(files, name):
    key = row.get('filename') or ''
    entry = entries.setdefault(key, {'filename': key, 'regions': []})
    try:
      shape = json.loads(row.get(_CSV_HEADER) or '{}')
      attributes = json.loads(row.get('region_attributes') or '{}')
    except (ValueError, RecursionError):
      files.report.add('shape_unusable', key)
      continue
    if shape:  # A picture without regions has one row without a shape.
      entry['regions'].append({'shape_attributes': shape, 'region_attributes': attributes})
  return entries
