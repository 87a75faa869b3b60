"""LabelMe 3 XML files: one a picture, with polygons, boxes and files of masks."""

import posixpath
from xml.etree.ElementTree import Element

from htc_tf.data import json_values, mask_codec
from htc_tf.data.annotation_file import Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, mask_files, shapes
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.grouped_shapes import Shape, add_grouped
from htc_tf.data.formats.source_files import SourceFiles, stem

NAME = 'LabelMe 3 XML files'


def recognize(files: SourceFiles) -> bool:
  """Whether there is an XML file with polygons or masks."""
  return any(_is_picture(root) for root in files.xml_roots.values())


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The objects of all XML files; deleted ones are left out, and parts belong to their object.

  A box is an object without a mask; `boxes_as_masks` makes it one. `split` keeps the files in a
  folder of that name.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: there is no image or object.
  """
  report = files.report
  roots: list[tuple[str, Element]] = []
  for name in files.of_split(files.of_type('.xml'), options.split):
    root = files.xml(name)
    if root is not None and root.tag == 'annotation':
      roots.append((name, root))
    else:
      report.add('annotation_file_unusable' if root is None else 'other_file', name)
  wanted = [
    [
      posixpath.join(
        posixpath.dirname(name), (root.findtext('filename') or '').strip() or stem(name)
      )
    ]
    for name, root in roots
  ]
  masks = [name for name in files.of_type('.png') if _is_mask(name)]
  left_out = [files.absolute(name) for name in masks]
  located = image_locations.locate(
    files, options.image_folder, wanted, left_out, None if options.split else report
  )
  builder = ContentBuilder(files, located.folder, options)
  for image_name, (name, root) in zip(located.names, roots):
    sides = [json_values.integer(root.findtext(f'imagesize/{key}')) for key in ('nrows', 'ncols')]
    size = (sides[0], sides[1]) if sides[0] and sides[1] else None
    image = builder.add_image(image_name, size)
    found = []
    for element in root.iter('object'):
      shape = _shape(builder, image, element, posixpath.dirname(name), files)
      found += [shape] if shape else []
    add_grouped(builder, image, found, report)
  return builder.source(NAME)


def _is_picture(root: Element) -> bool:
  has_shapes = any(root.find(path) is not None for path in ('object/polygon', 'object/segm'))
  return root.tag == 'annotation' and has_shapes


def _is_mask(name: str) -> bool:
  return 'masks' in posixpath.dirname(name).lower().split('/')


def _shape(
  builder: ContentBuilder, image: Entry, element: Element, folder: str, files: SourceFiles
) -> Shape | None:
  """The shape of an object; a box is added at once, as it has no mask."""
  label = (element.findtext('name') or '').strip()
  example = f'{label} in {image["file_name"]}'
  if (element.findtext('deleted') or '0').strip() == '1':
    return None
  if not label:
    files.report.add('shape_without_class', example)
    return None
  group = (element.findtext('parts/ispartof') or '').strip() or None
  if group is None and (element.findtext('parts/hasparts') or '').strip():
    group = (element.findtext('id') or '').strip() or None
  if element.find('segm') is not None:
    runs = _mask(image, element, folder, files)
    shape = Shape(label, group, runs=runs) if runs else None
  else:
    points = [[pt.findtext('x'), pt.findtext('y')] for pt in element.iterfind('polygon/pt')]
    polygon = shapes.points(points)
    if polygon and (element.findtext('type') or '').strip() == 'bounding_box':
      builder.add_box(image, label, shapes.bounds([polygon]))
      return None
    shape = Shape(label, group, polygon) if polygon else None
  if shape is None:
    files.report.add('shape_unusable', example)
  return shape


def _mask(
  image: Entry, element: Element, folder: str, files: SourceFiles
) -> dict[str, object] | None:
  name = (element.findtext('segm/mask') or '').strip()
  paths = [posixpath.join(folder, part, name) for part in ('Masks', 'masks', '')]
  known = [path for path in paths if name and path in files.name_set]
  mask = mask_files.read_bitmap(files.read(known[0])) if known else None
  if mask is None or mask.shape != (image.get('height'), image.get('width')):
    return None
  return mask_codec.encode(mask)
