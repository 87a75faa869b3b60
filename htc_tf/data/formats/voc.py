"""Pascal VOC folders: maps of objects and classes, and XML files of boxes.

`SegmentationObject` numbers the objects, `SegmentationClass` gives their classes by the colors of
labelmap.txt, or by the palette of VOC. Label 255, the border of objects, belongs to none.
"""

import collections
import posixpath
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from htc_tf import progress
from htc_tf.data import json_values, mask_codec
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, mask_files
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.source_files import SourceFiles, count_joined, is_split, stem
from htc_tf.errors import DataError

NAME = 'Pascal VOC'
_OBJECTS, _CLASSES, _LISTS = 'SegmentationObject', 'SegmentationClass', 'ImageSets'
_BORDER_INDEX, _BORDER_COLOR = 255, 224 + 256 * 224 + 65536 * 192
_VOC_NAMES = (
  *('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow'),
  *('diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train'),
  'tvmonitor',
)
# A box of an XML file that overlaps a mask of its class so much is that of the mask.
_MIN_IOU = 0.5


class _Colors(NamedTuple):
  """Names of classes in order, and by color."""

  names: list[str]
  by_color: dict[int, str]


def recognize(files: SourceFiles) -> bool:
  """Whether there are maps of objects, or XML files of boxes."""
  is_voc = any(
    root.tag == 'annotation' and root.find('object/bndbox') is not None
    for root in files.xml_roots.values()
  )
  return is_voc or any(f'{_OBJECTS}/' in f'/{name}' for name in files.of_type('.png'))


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The objects of the maps, and boxes of XML files that no mask has.

  All pictures with a map of objects or an XML file are read; if there are maps, and masks are
  needed, those with a map. `split` keeps the pictures of its lists in ImageSets, or in a folder of
  its name. A box is an object without a mask; `boxes_as_masks` makes it one.

  Pascal VOC counts pixels from 1, and a box includes its last pixel. Tools that write such files
  give the edges of a box instead, so that the name of the database in a file decides.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: there is no image or object, or files of several pictures have the same name.
  """
  report = files.report
  colors = _class_colors(files)
  maps = _by_picture([name for name in files.of_type('.png') if _is_in(name, _OBJECTS)])
  classes = _by_picture([name for name in files.of_type('.png') if _is_in(name, _CLASSES)])
  boxes = _by_picture(files.of_type('.xml'))
  pictures = _of_split(sorted({*maps, *boxes}), {**boxes, **maps}, files, options.split)
  pictures = _with_map(pictures, maps, options, report)
  located = image_locations.locate(
    files,
    options.image_folder,
    [[name] for name in pictures],
    [files.absolute(name) for name in (*maps.values(), *classes.values())],
    None if options.split else report,
  )
  builder = ContentBuilder(files, located.folder, options)
  named = list(zip(located.names, pictures))
  bar = progress.track(named, description='reading masks', unit='map')
  for name, picture in bar:
    image = builder.add_image(name)
    found = []
    if picture in maps:
      found = _add_masks(builder, image, files.read(maps[picture]), files, classes, colors)
    if picture in boxes:
      _add_boxes(builder, image, files.xml(boxes[picture]), found, report)
  return builder.source(NAME, colors.names)


def _by_picture(names: list[str]) -> dict[str, str]:
  """The files by the names of their pictures.

  Raises:
    DataError: two files have the same name, in different folders.
  """
  found: dict[str, str] = {}
  for name in names:
    other = found.setdefault(stem(name), name)
    if other != name:
      raise DataError(
        f'The picture {stem(name)!r} has several annotation files of a kind',
        expected='a picture for each name, as in Pascal VOC',
        got=f'{other} and {name}',
        likely_cause='several data sets below one folder; convert each with an --annotations and a '
        '--prefix of its own, or rename the files',
      )
  return found


def _is_in(name: str, folder: str) -> bool:
  return folder in name.split('/')[:-1]


def _class_colors(files: SourceFiles) -> _Colors:
  """Classes of labelmap.txt, else those of VOC if there are maps."""
  names = [name for name in files.names if posixpath.basename(name) == 'labelmap.txt']
  listed = {}
  for line in files.lines(names[0]) if names else []:
    label, _, rest = line.partition(':')
    values = [json_values.integer(part) for part in rest.split(':')[0].split(',')]
    numbers = [value for value in values if value is not None]
    if label and not line.startswith('#') and len(numbers) == 3:
      red, green, blue = numbers
      listed[red + 256 * green + 65536 * blue] = label.strip()
  if not listed and any(_is_in(name, _CLASSES) for name in files.of_type('.png')):
    listed = {_palette_color(index): name for index, name in enumerate(_VOC_NAMES, 1)}
  objects = {color: name for color, name in listed.items() if color and name != 'background'}
  return _Colors(list(objects.values()), objects)


def _palette_color(index: int) -> int:
  """The color of a label in the palette of VOC: its bits in turn are the high bits of R, G, B."""
  channels = [0, 0, 0]
  for place in range(8):
    for channel in range(3):
      channels[channel] |= ((index >> (3 * place + channel)) & 1) << (7 - place)
  return channels[0] + 256 * channels[1] + 65536 * channels[2]


def _add_masks(
  builder: ContentBuilder,
  image: Entry,
  content: bytes,
  files: SourceFiles,
  classes: dict[str, str],
  colors: _Colors,
) -> list[tuple[str, list[float]]]:
  """Add the objects of a map; returns their classes and boxes. Without a map, drop the image."""
  name, report = image['file_name'], files.report
  objects = mask_files.read_map(content)
  class_file = classes.get(stem(name))
  labels = mask_files.read_map(files.read(class_file)) if class_file else None
  if objects is None or labels is None or objects.numbers.shape != labels.numbers.shape:
    builder.drop_image(image, f'masks of {name}')
    return []
  border = _BORDER_COLOR if objects.has_colors and not objects.is_palette else _BORDER_INDEX
  found = []
  for number in np.unique(objects.numbers).tolist():
    if number in (0, border):
      continue
    mask = objects.numbers == number
    label = _class_of(mask, labels, colors)
    if label is None:
      report.add('shape_without_class', f'object {number} of {name}')
      continue
    runs = mask_codec.encode(mask)
    builder.add_runs(image, label, runs)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = float(columns[0]), float(rows[0])
    found.append((label, [left, top, columns[-1] - left + 1, rows[-1] - top + 1]))
  return found


def _class_of(mask: np.ndarray, labels: mask_files.IndexMap, colors: _Colors) -> str | None:
  """The most frequent class of an object's pixels; None if it has none."""
  numbers = (labels.colors if labels.has_colors else labels.numbers)[mask]
  counted: collections.Counter[str] = collections.Counter()
  for number, count in zip(*(part.tolist() for part in np.unique(numbers, return_counts=True))):
    if labels.has_colors:
      label = colors.by_color.get(number)
    else:
      label = colors.names[number - 1] if 0 < number <= len(colors.names) else None
    if label:
      counted[label] += count
  return counted.most_common(1)[0][0] if counted else None


def _add_boxes(
  builder: ContentBuilder,
  image: Entry,
  root: Element | None,
  masks: list[tuple[str, list[float]]],
  report: CheckReport,
) -> None:
  """Add the boxes of an XML file that no mask of their class has."""
  if root is None:
    builder.drop_image(image, f'boxes of {image["file_name"]}')
    return
  first = 1 if 'voc' in (root.findtext('source/database') or '').lower() else 0
  for element in root.iter('object'):
    label = (element.findtext('name') or '').strip()
    keys = ('xmin', 'ymin', 'xmax', 'ymax')
    values = [json_values.number(element.findtext(f'bndbox/{key}')) for key in keys]
    corners = [
      value - shift for value, shift in zip(values, (first, first, 0, 0)) if value is not None
    ]
    is_box = len(corners) == 4 and corners[2] > corners[0] and corners[3] > corners[1]
    if not label:
      report.add('shape_without_class', f'a box of {image["file_name"]}')
    elif not is_box:
      report.add('shape_unusable', f'{label} of {image["file_name"]}')
    else:
      left, top, right, bottom = corners
      box = [left, top, right - left, bottom - top]
      if not any(name == label and _iou(box, other) >= _MIN_IOU for name, other in masks):
        builder.add_box(image, label, box)


def _iou(box: list[float], other: list[float]) -> float:
  sides = [
    max(0.0, min(a + c, b + d) - max(a, b))
    for a, b, c, d in zip(box[:2], other[:2], box[2:], other[2:])
  ]
  intersection = sides[0] * sides[1]
  return intersection / (box[2] * box[3] + other[2] * other[3] - intersection)


def _of_split(
  pictures: list[str], of_picture: dict[str, str], files: SourceFiles, split: str
) -> list[str]:
  """The pictures in the lists of a split; without lists, those with files in its folder."""
  if not split:
    lists = [stem(name) for name in files.of_type('.txt') if _is_in(name, _LISTS)]
    count_joined(lists, files.report)
    return pictures
  lists = [name for name in files.of_type('.txt') if is_split(stem(name), split)]
  listed = {line.split()[0] for name in lists for line in files.lines(name) if line}
  if not lists:
    names = files.of_split([of_picture[picture] for picture in pictures], split)
    listed = set(map(stem, names))
    return [picture for picture in pictures if picture in listed]
  for picture in pictures:
    if picture not in listed:
      files.report.add('other_split', picture)
  return [picture for picture in pictures if picture in listed]


def _with_map(
  pictures: list[str], maps: dict[str, str], options: ConversionOptions, report: CheckReport
) -> list[str]:
  """The pictures with a map of objects, if there are maps and objects need masks.

  Most pictures of Pascal VOC have boxes alone. Without their objects, which lack masks, they would
  be trained as background.
  """
  if not maps or not options.include_masks or options.boxes_as_masks:
    return pictures
  for picture in pictures:
    if picture not in maps:
      report.add('picture_without_map', picture)
  return [picture for picture in pictures if picture in maps]
