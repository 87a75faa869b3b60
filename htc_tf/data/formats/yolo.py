"""YOLO text files: one a picture, with a class number and a box or polygon in each line.

Coordinates are shares of the sides of the image. A line of five numbers is a box, x and y of its
center, width and height; of seven or more, a polygon.
"""

import os
import posixpath
from collections.abc import Sequence

from htc_tf.data import json_values
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, yolo_config
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.source_files import SourceFiles, count_joined, stem
from htc_tf.errors import DataError

NAME = 'YOLO text files'
_MAX_SHARE = 1.5  # Tools write coordinates a little outside; pixels are far outside.


def recognize(files: SourceFiles) -> bool:
  """Whether there are label files, or a configuration with names of classes."""
  if not files.is_folder:
    return bool(yolo_config.read(files).content)
  names = [name for name in files.of_type('.txt') if not yolo_config.is_name_file(name)]
  looked_at = names[:: max(1, len(names) // 50)]
  return any(_is_label_file(files, name) and any(files.lines(name)) for name in looked_at)


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The objects of all label files.

  Names of classes come from data.yaml, classes.txt or a *.names file. An image without a label file
  has no objects, as in training with YOLO. A box is an object without a mask; `boxes_as_masks`
  makes it one. `split` keeps the images that data.yaml or a list of that name gives, else those
  with a folder of that name in their path. Without it, the images of all splits are read.

  Args:
    files: the annotation files; a YAML file stands for the folder that its entry `path` names, or
      for its own.
    options: options of the conversion.

  Raises:
    DataError: there is no image or object, an image has several label files, or the configuration
      names a folder of the split that does not exist.
  """
  report = files.report
  configuration = yolo_config.read(files)
  if not files.is_folder:
    files = files.moved(configuration.root, options.output_folder)
  classes = yolo_config.class_names(files, configuration)
  names = [name for name in files.of_type('.txt') if not yolo_config.is_name_file(name)]
  labels = [name for name in names if _is_label_file(files, name)]
  wanted = [[_image_of(name), stem(name)] for name in labels]
  located = image_locations.locate(files, options.image_folder, wanted, may_share=True)
  # An empty text file without an image is no label file.
  of_image = _by_image(
    {
      name: image
      for image, name, (first, _) in zip(located.names, labels, wanted)
      if image != first or any(files.lines(name))
    }
  )
  images = [*of_image, *located.others]
  chosen = _of_split(images, located.folder, files, configuration, options.split, report)
  builder = ContentBuilder(files, located.folder, options)
  for name in sorted(chosen):
    image = builder.add_image(name)
    if name not in of_image:
      report.add('image_without_label_file', name)
      continue
    for line in files.lines(of_image[name]):
      if line:
        _add(builder, image, line, classes, configuration.has_keypoints, report)
  if not classes:
    report.add('class_assumed', 'class numbers without names')
  return builder.source(NAME, classes)


def _by_image(images: dict[str, str]) -> dict[str, str]:
  """The label file of each image, from the image of each label file.

  Raises:
    DataError: an image has several label files.
  """
  found: dict[str, str] = {}
  for name, image in images.items():
    other = found.setdefault(image, name)
    if other != name:
      raise DataError(
        f'The image {image!r} has several label files',
        expected='one label file for each image',
        got=f'{other} and {name}',
        likely_cause='predictions of a model, or another data set, below the same folder; name the '
        'folder of one of them, or move the others away',
      )
  return found


def _add(
  builder: ContentBuilder,
  image: Entry,
  line: str,
  classes: Sequence[str],
  has_keypoints: bool,
  report: CheckReport,
) -> None:
  """Add the object of a line; of key points, only the box in front of them is read."""
  example = f'{line[:40]!r} of {image["file_name"]}'
  number, *values = line.split()
  index = json_values.integer(number)
  shares = [value for text in values if (value := json_values.number(text)) is not None]
  is_box = has_keypoints or len(shares) == 5  # The fifth number is a confidence.
  is_complete = len(shares) == len(values) and (is_box or len(shares) % 2 == 0)
  shares = shares[:4] if is_box else shares
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


def _is_label_file(files: SourceFiles, name: str) -> bool:
  """Whether the first line with text is that of an object; an empty file has no object."""
  line = next((line for line in files.lines(name) if line), None)
  return line is None or yolo_config.is_label_line(line)


def _image_of(label_file: str) -> str:
  """The likely path of the image of a label file, without its suffix."""
  parts = posixpath.splitext(label_file)[0].split('/')
  places = [index for index, part in enumerate(parts[:-1]) if part == 'labels']
  if places:
    parts[places[-1]] = 'images'
  return '/'.join(parts)


def _of_split(
  names: list[str],
  folder: str,
  files: SourceFiles,
  configuration: yolo_config.Configuration,
  split: str,
  report: CheckReport,
) -> list[str]:
  """The images of a split; without one, the splits that are read together are counted."""
  if not split:
    count_joined(configuration.several_splits(), report)
    return names
  paths = {name: os.path.join(os.path.abspath(folder), name) for name in names}
  chosen = yolo_config.of_split(files, configuration, split, paths)
  if chosen is None:
    return files.of_split(names, split)
  for name in names:
    if name not in chosen:
      report.add('other_split', name)
  return [name for name in names if name in chosen]
