"""YOLO text files: one a picture, with a class number and a box or polygon in each line.

Coordinates are shares of the sides of the image. A line of five numbers is a box, x and y of its
center, width and height; of seven or more, a polygon.
"""

import posixpath
import re
from collections.abc import Sequence
from typing import Any

import yaml

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.source_files import SourceFiles, stem

NAME = 'YOLO text files'
_NAME_FILES = ('classes.txt', 'obj.names', 'labels.txt', 'names.txt', 'predefined_classes.txt')
_MAX_SHARE = 1.5  # Tools write coordinates a little outside; pixels are far outside.
_LABEL_LINE = re.compile(r'\d+(\.0*)?(\s+-?\d*\.?\d+([eE][-+]?\d+)?){4,}')


def recognize(files: SourceFiles) -> bool:
  """Whether there are label files, or a configuration with names of classes."""
  if not files.is_folder:
    return bool(_configuration(files))
  names = [name for name in files.of_type('.txt') if not _is_name_file(name)]
  looked_at = names[:: max(1, len(names) // 50)]
  return any(_is_label_file(files, name) and any(files.lines(name)) for name in looked_at)


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The objects of all label files.

  Names of classes come from data.yaml, classes.txt or a *.names file. An image without a label file
  has no objects, as in training with YOLO. A box is an object without a mask; `boxes_as_masks`
  makes it one. `split` keeps the images with that folder in their path, or in the list that
  data.yaml or a text file of that name gives.

  Args:
    files: the annotation files; a YAML file stands for its folder.
    options: options of the conversion.

  Raises:
    DataError: there is no image or object.
  """
  report = files.report
  if not files.is_folder:
    files = SourceFiles(files.folder, report, options.output_folder)
  classes = _class_names(files)
  names = [name for name in files.of_type('.txt') if not _is_name_file(name)]
  labels = [name for name in names if _is_label_file(files, name)]
  wanted = [[_image_of(name), stem(name)] for name in labels]
  located = image_locations.locate(files, options.image_folder, wanted)
  # An empty text file without an image is no label file.
  of_image = dict(zip(located.names, labels))
  real = [
    image
    for image, name, (first, _) in zip(located.names, labels, wanted)
    if image != first or any(files.lines(name))
  ]
  chosen = _of_split([*real, *located.others], files, options.split, report)
  builder = ContentBuilder(files, located.folder, options)
  for name in sorted(chosen):
    image = builder.add_image(name)
    if name not in of_image:
      report.add('image_without_label_file', name)
      continue
    for line in files.lines(of_image[name]):
      if line:
        _add(builder, image, line, classes, report)
  if not classes:
    report.add('class_assumed', 'class numbers without names')
  return builder.source(NAME, classes)


def _add(
  builder: ContentBuilder, image: Entry, line: str, classes: Sequence[str], report: CheckReport
) -> None:
  """Add the object of a line."""
  example = f'{line[:40]!r} of {image["file_name"]}'
  number, *values = line.split()
  index = json_values.integer(number)
  shares = [value for text in values if (value := json_values.number(text)) is not None]
  has_confidence = len(shares) == 5
  if has_confidence:
    shares = shares[:4]
  is_complete = len(shares) == len(values) - has_confidence and len(shares) % 2 == 0
  if not is_complete or len(shares) < 4 or 'height' not in image:
    report.add('shape_unusable', example)
  elif max(map(abs, shares)) > _MAX_SHARE:
    report.add('shape_unusable', f'{example}, which are no shares of the image')
  elif index is None or index < 0 or (classes and index >= len(classes)):
    report.add('shape_without_class', example)
  else:
    label = classes[index] if classes else f'class {index}'
    sides = (image['width'], image['height'])
    pixels = [share * sides[place % 2] for place, share in enumerate(shares)]
    if len(pixels) > 4:
      builder.add_polygons(image, label, [pixels])
    elif min(pixels[2:]) > 0:
      x, y, width, height = pixels
      builder.add_box(image, label, [x - width / 2, y - height / 2, width, height])
    else:
      report.add('shape_unusable', example)


def _is_name_file(name: str) -> bool:
  return posixpath.basename(name).lower() in _NAME_FILES


def _is_label_file(files: SourceFiles, name: str) -> bool:
  """Whether the first line with text is that of an object; an empty file has no object."""
  line = next((line for line in files.lines(name) if line), None)
  return line is None or bool(_LABEL_LINE.match(line))


def _image_of(label_file: str) -> str:
  """The likely path of the image of a label file, without its suffix."""
  parts = posixpath.splitext(label_file)[0].split('/')
  places = [index for index, part in enumerate(parts[:-1]) if part == 'labels']
  if places:
    parts[places[-1]] = 'images'
  return '/'.join(parts)


def _class_names(files: SourceFiles) -> list[str]:
  """Names of the classes by number; empty if no file gives them."""
  listed = _configuration(files).get('names')
  if isinstance(listed, list):
    return [str(name) for name in listed]
  if isinstance(listed, dict):
    numbers = {json_values.integer(key): str(name) for key, name in listed.items()}
    known = [number for number in numbers if number is not None and 0 <= number < 10_000]
    return [numbers.get(index, f'class {index}') for index in range(max(known, default=-1) + 1)]
  found = [name for name in files.names if _is_name_file(name) or name.endswith('.names')]
  for name in sorted(found, key=lambda name: name.count('/')):
    lines = files.lines(name)
    while lines and not lines[-1]:
      lines.pop()
    if lines:
      return lines
  return []


def _configuration(files: SourceFiles) -> dict[Any, Any]:
  """The first YAML file with names of classes; empty if there is none."""
  for name in sorted(files.of_type('.yaml', '.yml'), key=lambda name: name.count('/')):
    try:
      content = yaml.safe_load(files.read(name))
    except (yaml.YAMLError, ValueError, RecursionError):
      continue
    if isinstance(content, dict) and isinstance(content.get('names'), (list, dict)):
      return content
  return {}


def _of_split(names: list[str], files: SourceFiles, split: str, report: CheckReport) -> list[str]:
  """The images of a split: with its folder in the path, or in its list."""
  if not split:
    return names
  lists = [name for name in files.of_type('.txt') if stem(name) == split]
  listed = {stem(line) for name in lists for line in files.lines(name) if line}
  listed = set() if any(_is_label_file(files, name) for name in lists) else listed
  kept = []
  for name in names:
    if split in name.split('/')[:-1] or stem(name) in listed:
      kept.append(name)
    else:
      report.add('other_split', name)
  return kept
