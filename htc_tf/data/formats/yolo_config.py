"""The configuration of a YOLO data set: names of classes, and the images of each split."""

import collections
import os
import posixpath
import re
from typing import Any, NamedTuple

import yaml

from htc_tf import file_errors
from htc_tf.data import json_values
from htc_tf.data.formats import image_locations
from htc_tf.data.formats.source_files import SourceFiles, is_split, stem
from htc_tf.errors import DataError

NAME_FILES = ('classes.txt', 'obj.names', 'labels.txt', 'names.txt', 'predefined_classes.txt')
_LABEL_LINE = re.compile(r'\d+(\.0*)?(\s+-?\d*\.?\d+([eE][-+]?\d+)?){4,}')
_SPLITS = ('train', 'val', 'test')


class Configuration(NamedTuple):
  """The content of data.yaml.

  Attributes:
    folder: absolute path of the folder of the file.
    content: entries of the file; empty if there is none.
  """

  folder: str
  content: dict[Any, Any]

  @property
  def has_keypoints(self) -> bool:
    """Whether key points follow the box in each line."""
    return 'kpt_shape' in self.content

  @property
  def root(self) -> str:
    """Absolute path of the folder of the data set, which the file may name."""
    root = self.content.get('path')
    named = os.path.join(self.folder, root) if isinstance(root, str) else ''
    return os.path.normpath(named) if named and os.path.isdir(named) else self.folder

  def splits(self) -> dict[str, list[str]]:
    """Paths as written, folders of images or lists of them, by the name of the split."""
    found = {}
    for key in _SPLITS:
      value = self.content.get(key)
      paths = [path for path in (value if isinstance(value, list) else [value]) if path]
      if paths and all(isinstance(path, str) for path in paths):
        found[key] = paths
    return found

  def several_splits(self) -> list[str]:
    """The names of the splits if they have different images."""
    splits = self.splits()
    different = {tuple(paths) for paths in splits.values()}
    return list(splits) if len(different) > 1 else []


def read(files: SourceFiles) -> Configuration:
  """The first YAML file with names of classes."""
  for name in sorted(files.of_type('.yaml', '.yml'), key=lambda name: name.count('/')):
    try:
      content = yaml.safe_load(files.read(name))
    except (yaml.YAMLError, ValueError, RecursionError):
      continue
    if isinstance(content, dict) and isinstance(content.get('names'), (list, dict)):
      return Configuration(os.path.dirname(os.path.abspath(files.absolute(name))), content)
  return Configuration(os.path.abspath(files.folder), {})


def is_name_file(name: str) -> bool:
  """Whether a file lists names of classes, by its name."""
  return posixpath.basename(name).lower() in NAME_FILES


def class_names(files: SourceFiles, configuration: Configuration) -> list[str]:
  """Names of the classes by number; empty if no file gives them.

  Args:
    files: the annotation files.
    configuration: their configuration.
  """
  listed = configuration.content.get('names')
  if isinstance(listed, list):
    return [str(name) for name in listed]
  if isinstance(listed, dict):
    numbers = {json_values.integer(key): str(name) for key, name in listed.items()}
    known = [number for number in numbers if number is not None and 0 <= number < 10_000]
    return [numbers.get(index, f'class {index}') for index in range(max(known, default=-1) + 1)]
  found = [name for name in files.names if is_name_file(name) or name.endswith('.names')]
  for name in sorted(found, key=lambda name: name.count('/')):
    lines = files.lines(name)
    while lines and not lines[-1]:
      lines.pop()
    if lines:
      return lines
  return []


def of_split(
  files: SourceFiles, configuration: Configuration, split: str, images: dict[str, str]
) -> set[str] | None:
  """The images of a split that the configuration or a list of its name gives; None without both.

  Args:
    files: the annotation files.
    configuration: their configuration.
    split: name of the split, such as val.
    images: path of each image by its name.

  Raises:
    DataError: a path of the split does not exist.
  """
  splits = configuration.splits()
  named = next((paths for name, paths in splits.items() if is_split(name, split)), None)
  if named is None:
    lists = [files.absolute(name) for name in files.of_type('.txt') if stem(name) == split]
    lists = [path for path in lists if not is_label_line(_first_line(path))]
    return _in_lists(lists, images) if lists else None
  found: set[str] = set()
  for path in (_existing(configuration, split, entry) for entry in named):
    if os.path.isdir(path):
      inside = os.path.realpath(path) + os.sep
      found |= {name for name, image in images.items() if _real(image).startswith(inside)}
    else:
      found |= _in_lists([path], images)
  return found


def is_label_line(line: str) -> bool:
  """Whether a line is that of an object: a class number and four or more numbers."""
  return bool(_LABEL_LINE.match(line))


def _real(path: str) -> str:
  """The path of a file without links among its folders."""
  return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _existing(configuration: Configuration, split: str, entry: str) -> str:
  """The folder or list that an entry of the configuration leads to.

  It is relative to the entry `path`, or to the folder of the file. Exports begin it with ../,
  although the folder is beside the file.
  """
  inside = posixpath.normpath(entry.replace('\\', '/'))
  while inside.startswith('../'):
    inside = inside.removeprefix('../')
  roots = (configuration.root, configuration.folder)
  places = [os.path.join(folder, part) for part in (inside, entry) for folder in roots]
  for place in places:
    if os.path.exists(place):
      return place
  raise DataError(
    f'The images of the split {split!r} are not found',
    expected=f'the folder or list that the configuration names: {entry}',
    got='none of ' + ', '.join(dict.fromkeys(map(os.path.normpath, places))),
    likely_cause='a data set that was moved; correct the entry or "path" in its YAML file',
  )


def _first_line(path: str) -> str:
  return next((line for line in _lines(path) if line), '')


def _lines(path: str) -> list[str]:
  with (
    file_errors.as_input_errors(reading=True),
    open(path, encoding='utf-8', errors='surrogateescape') as file,
  ):
    return [line.strip() for line in file]


def _in_lists(lists: list[str], images: dict[str, str]) -> set[str]:
  """The images that lists name, which may have the paths of another machine.

  Of several images with the same name, those are meant that share most folders with the line.
  """
  by_stem: dict[str, list[str]] = collections.defaultdict(list)
  for name, path in images.items():
    by_stem[stem(name)].append(path.replace(os.sep, '/'))
  lines = (line.replace('\\', '/') for path in lists for line in _lines(path) if line)
  found = {
    path for line in lines for path in image_locations.nearest(by_stem.get(stem(line), []), line)
  }
  return {name for name, path in images.items() if path.replace(os.sep, '/') in found}
