"""CVAT for images 1.1: one XML file."""

from collections.abc import Callable
from xml.etree.ElementTree import Element

import numpy as np

from htc_tf.data import images, json_values, mask_codec
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, shapes
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.grouped_shapes import Shape, add_grouped
from htc_tf.data.formats.source_files import SourceFiles, count_joined, is_in_split, is_split
from htc_tf.errors import DataError

NAME = 'CVAT for images 1.1'
_NO_AREA = ('polyline', 'points', 'skeleton', 'tag', 'cuboid')


def recognize(files: SourceFiles) -> bool:
  """Whether there is an XML file of CVAT."""
  return any(root.tag == 'annotations' for root in files.xml_roots.values())


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The shapes of an XML file.

  Polygons, ellipses and masks are objects; shapes of one label and group are one object. A box is
  an object without a mask; `boxes_as_masks` makes it one, also if it is rotated. `split` keeps the
  images of a subset.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: it has tracks instead of images, or no object.
  """
  report = files.report
  roots = _roots(files)
  entries = _of_subset(_images(files, roots), options.split, report)
  wanted = [[entry.get('name') or 'unnamed'] for entry in entries]
  located = image_locations.locate(
    files, options.image_folder, wanted, report=None if options.split else report
  )
  builder = ContentBuilder(files, located.folder, options)
  for name, entry in zip(located.names, entries):
    sides = [json_values.integer(entry.get(side)) for side in ('height', 'width')]
    size = (sides[0], sides[1]) if sides[0] and sides[1] else None
    image = builder.add_image(name, size)
    _add_shapes(builder, image, entry, options, report)
  labels = [label for root in roots for label in _labels(root)]
  return builder.source(NAME, list(dict.fromkeys(labels)))


def _roots(files: SourceFiles) -> list[Element]:
  """The roots of all files of CVAT; other XML files are counted."""
  found = []
  for name in files.of_type('.xml') if files.is_folder else files.names:
    root = files.xml(name)
    if root is not None and root.tag == 'annotations':
      found.append(root)
    else:
      files.report.add('annotation_file_unusable' if root is None else 'other_file', name)
  return found


def _images(files: SourceFiles, roots: list[Element]) -> list[Element]:
  """The images of all files, sorted by name."""
  entries = [entry for root in roots for entry in root.iter('image')]
  if not entries:
    raise DataError(
      f'{files.path} has no images',
      expected='<image> elements',
      got=f'{sum(len(root.findall("track")) for root in roots)} tracks',
      likely_cause='the export "CVAT for video"; choose "CVAT for images", or COCO',
    )
  return sorted(entries, key=lambda entry: entry.get('name') or '')


def _of_subset(entries: list[Element], split: str, report: CheckReport) -> list[Element]:
  """The images of a subset of the task, or in a folder of its name."""
  if not split:
    count_joined({entry.get('subset') or '' for entry in entries}, report)
    return entries
  chosen = []
  for entry in entries:
    name, subset = entry.get('name') or '', entry.get('subset') or ''
    if is_split(subset, split) or is_in_split(name, split):
      chosen.append(entry)
    else:
      report.add('other_split', name)
  return chosen


def _labels(root: Element) -> list[str]:
  names = [label.findtext('name') for label in root.iter('label') if label.find('name') is not None]
  return [name.strip() for name in names if name]


def _add_shapes(
  builder: ContentBuilder,
  image: Entry,
  entry: Element,
  options: ConversionOptions,
  report: CheckReport,
) -> None:
  found: list[Shape] = []
  for element in entry:
    label = (element.get('label') or '').strip()
    example = f'{element.tag} {label} in {image["file_name"]}'
    group = element.get('group_id')
    group = None if group in (None, '', '0') else group
    if element.tag in _NO_AREA:
      report.add('shape_without_area', example)
    elif element.tag not in (*_POLYGONS, 'mask', 'box'):
      report.add('shape_unknown', example)
    elif not label:
      report.add('shape_without_class', example)
    elif element.tag == 'box' and not options.boxes_as_masks:
      polygon = _box(element)
      if polygon and min(shapes.bounds([polygon])[2:]) > 0:
        builder.add_box(image, label, shapes.bounds([polygon]))
      else:
        report.add('shape_unusable', example)
    else:
      shape = _shape(element, label, group, image)
      report.add('ellipse_as_polygon', example) if element.tag == 'ellipse' and shape else None
      report.add('box_as_mask', example) if element.tag == 'box' and shape else None
      if shape is None:
        report.add('shape_unusable', example)
      else:
        found.append(shape)
  add_grouped(builder, image, found, report)


def _shape(element: Element, label: str, group: str | None, image: Entry) -> Shape | None:
  if element.tag == 'mask':
    runs = _mask(element, image)
    return Shape(label, group, runs=runs) if runs else None
  polygon = _POLYGONS[element.tag](element)
  return Shape(label, group, polygon) if polygon else None


def _numbers(element: Element, *keys: str) -> list[float] | None:
  values = [json_values.number(element.get(key)) for key in keys]
  found = [value for value in values if value is not None]
  return found if len(found) == len(keys) else None


def _box(element: Element) -> shapes.Polygon | None:
  corners = _numbers(element, 'xtl', 'ytl', 'xbr', 'ybr')
  angle = json_values.number(element.get('rotation', '0')) or 0
  if corners is None:
    return None
  left, top, right, bottom = corners
  return shapes.rotated_rectangle(left, top, right, bottom, angle)


def _ellipse(element: Element) -> shapes.Polygon | None:
  values = _numbers(element, 'cx', 'cy', 'rx', 'ry')
  angle = json_values.number(element.get('rotation', '0')) or 0
  if values is None:
    return None
  x, y, radius_x, radius_y = values
  return shapes.ellipse(x, y, radius_x, radius_y, float(np.radians(angle)))


def _points(element: Element) -> shapes.Polygon | None:
  pairs = [point.split(',') for point in (element.get('points') or '').split(';')]
  return shapes.points(pairs)


_POLYGONS: dict[str, Callable[[Element], shapes.Polygon | None]] = {
  'polygon': _points,
  'ellipse': _ellipse,
  'box': _box,
}


def _mask(element: Element, image: Entry) -> dict[str, object] | None:
  """Run lengths of a mask: runs of a box, row by row, the first one of zeros."""
  place = _numbers(element, 'left', 'top', 'width', 'height')
  runs = [json_values.integer(run) for run in (element.get('rle') or '').split(',')]
  if place is None or 'height' not in image or min(place) < 0:
    return None
  left, top, width, height = map(int, place)
  counts = [run for run in runs if run is not None and run >= 0]
  sides = (image['height'], image['width'])
  if len(counts) != len(runs) or sum(counts) != width * height or not width * height:
    return None
  if max(width * height, sides[0] * sides[1]) > images.MAX_PIXELS:
    return None
  values = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
  mask = np.zeros(sides, bool)
  target = mask[top : top + height, left : left + width]
  target |= values[: target.shape[0], : target.shape[1]]
  return mask_codec.encode(mask)
