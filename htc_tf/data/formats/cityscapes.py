"""Cityscapes polygons: a file *_polygons.json a picture.

Polygons cover each other in the order of the file, so that objects get their visible part as mask.
Labels that end in 'group' are crowd regions. The label sets of the data set are known: only its
eight classes with instances, and labels that it does not have, are objects.
"""

import posixpath
import re
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from htc_tf import progress
from htc_tf.data import images, json_values, mask_codec
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, json_kinds, shapes
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.source_files import SourceFiles

NAME = 'Cityscapes polygons'
_THINGS = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
# Regions, and objects that the benchmark does not evaluate; the last one is not even drawn.
_STUFF = (
  *('unlabeled', 'ego vehicle', 'rectification border', 'out of roi', 'static', 'dynamic'),
  *('ground', 'road', 'sidewalk', 'parking', 'rail track', 'building', 'wall', 'fence'),
  *('guard rail', 'bridge', 'tunnel', 'pole', 'polegroup', 'traffic light', 'traffic sign'),
  *('vegetation', 'terrain', 'sky', 'caravan', 'trailer'),
)
_NOT_DRAWN = 'license plate'
_SUFFIX = re.compile(r'(_gt(Fine|Coarse))?_polygons\.json$')


class _Object(NamedTuple):
  """An object: its class, None for a region; whether it is a crowd; its polygon."""

  label: str | None
  is_crowd: bool
  polygon: shapes.Polygon


def recognize(files: SourceFiles) -> bool:
  """Whether there is a file of polygons."""
  return 'cityscapes' in files.json_kinds


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The objects of all files of polygons.

  Images are found by the names of the files, with _leftImg8bit; `split` keeps the files with that
  folder in their path.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: there is no image or object.
  """
  report = files.report
  names = []
  for name in files.of_split(files.of_type('.json'), options.split):
    if _SUFFIX.search(name) or not files.is_folder:
      names.append(name)
    else:
      report.add('other_file', name)
  wanted = [_wanted(name) for name in names]
  located = image_locations.locate(
    files, options.image_folder, wanted, _drawn_maps(files), None if options.split else report
  )
  builder = ContentBuilder(files, located.folder, options)
  pairs = zip(located.names, names)
  for image_name, name in progress.track(pairs, description='reading polygons', unit='file'):
    content = files.json(name)
    size = _size(content)
    if json_kinds.kind_of(content) != 'cityscapes' or size is None:
      report.add('annotation_file_unusable', name)
      continue
    image = builder.add_image(image_name, size)
    _add_visible(builder, image, _objects(content['objects'], name, report), size, report)
  return builder.source(NAME, _THINGS)


def _wanted(name: str) -> list[str]:
  base = _SUFFIX.sub('', name)
  return [f'{base}_leftImg8bit.png', base]


def _drawn_maps(files: SourceFiles) -> list[str]:
  """Paths of the label maps beside the polygons, which are no images."""
  names = files.of_type('Ids.png', 'ids.png', '_color.png')
  return [files.absolute(name) for name in names if '_gt' in posixpath.basename(name)]


def _size(content: Any) -> tuple[int, int] | None:
  """Height and width of the image, if it is not too large to be drawn."""
  if not isinstance(content, dict):
    return None
  sides = [json_values.integer(content.get(f'img{side}')) for side in ('Height', 'Width')]
  if not sides[0] or not sides[1] or min(sides[0], sides[1]) < 1:
    return None
  return (sides[0], sides[1]) if sides[0] * sides[1] <= images.MAX_PIXELS else None


def _objects(entries: list[Any], name: str, report: CheckReport) -> list[_Object]:
  found = []
  for entry in entries:
    item = entry if isinstance(entry, dict) else {}
    label, polygon = item.get('label'), shapes.points(item.get('polygon'))
    if json_values.flag(item.get('deleted')) or label == _NOT_DRAWN:
      continue
    if not isinstance(label, str) or not label.strip():
      report.add('shape_without_class', name)
    elif not polygon or len(polygon) < 6 or max(map(abs, polygon)) > images.MAX_PIXELS:
      report.add('shape_unusable', f'{label} in {name}')
    else:
      is_region = label in _STUFF
      is_group = label.endswith('group') and label != 'group' and not is_region
      if is_region:
        report.add('shape_not_annotated', f'{label} in {name}')
      plain = label.removesuffix('group') if is_group else label
      found.append(_Object(None if is_region else plain.strip(), is_group, polygon))
  return found


def _add_visible(
  builder: ContentBuilder,
  image: Entry,
  objects: list[_Object],
  size: tuple[int, int],
  report: CheckReport,
) -> None:
  """Add what is seen of each object once the later ones are drawn over it."""
  canvas = Image.new('I', (size[1], size[0]), 0)
  drawer = ImageDraw.Draw(canvas)
  for number, item in enumerate(objects, 1):
    drawer.polygon(list(zip(item.polygon[::2], item.polygon[1::2])), fill=number)
  numbers = np.asarray(canvas)
  for number, item in enumerate(objects, 1):
    if item.label is None:
      continue
    mask = numbers == number
    if not mask.any():
      report.add('shape_hidden', f'{item.label} in {image["file_name"]}')
      continue
    builder.add_runs(image, item.label, mask_codec.encode(mask), iscrowd=int(item.is_crowd))
