"""The metadata file `<prefix>.json` beside the TFRecord shards of a data set: its card.

This module does not import TensorFlow, so that class names can be read without it.
"""

import dataclasses
import fnmatch
import json
import os
from collections.abc import Sequence
from typing import Any

from htc_tf import file_systems, files
from htc_tf.data.left_out import MIN_IMAGE_SIDE
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.data.statistics import DatasetStatistics
from htc_tf.errors import DataError

VERSION = 1
# A larger JSON file holds annotations, not metadata; with the name of annotations, a smaller one.
_MAX_BYTES, _MAX_NAMED_BYTES = 2**26, 2**22


def shard_name(prefix: str, shard: int, num_shards: int) -> str:
  """File name of a shard, e.g. train-00000-of-00008.tfrecord."""
  return f'{prefix}-{shard:05d}-of-{num_shards:05d}.tfrecord'


@dataclasses.dataclass(frozen=True)
class Category:
  """A foreground class.

  Attributes:
    id: category id in the annotations.
    name: name of the class.
    label: class label of the model, 1..K.
  """

  id: int
  name: str
  label: int


@dataclasses.dataclass(frozen=True)
class SemanticInfo:
  """Description of the semantic maps.

  Attributes:
    source: 'stuff_maps', 'instances' or 'panoptic'.
    num_classes: number of classes.
  """

  source: str
  num_classes: int


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """Description of a data set in TFRecords.

  Attributes:
    name: name of the data set, for people.
    num_images: number of images in all shards.
    num_instances: number of instances in all shards, crowds included.
    num_shards: number of shard files.
    categories: foreground classes ordered by label.
    semantic: description of the semantic maps; None if the records hold none.
    include_masks: whether the records hold instance masks.
    annotation_file: name of the file of cleaned COCO annotations, relative to the metadata file.
    checks: number of findings of the converter by name of the check.
    fingerprint: hash of the converter's inputs.
    source: absolute path of the annotation file that was converted; '' if it is unknown.
    statistics: statistics of images and objects; None for records of earlier versions.
    folder: folder that the metadata was loaded from; not stored.
  """

  name: str
  num_images: int
  num_instances: int
  num_shards: int
  categories: tuple[Category, ...]
  semantic: SemanticInfo | None
  include_masks: bool
  annotation_file: str
  checks: dict[str, int] = dataclasses.field(default_factory=dict)
  fingerprint: str = ''
  source: str = ''
  statistics: DatasetStatistics | None = None
  folder: str = dataclasses.field(default='', compare=False)

  @property
  def num_classes(self) -> int:
    """Number of classes, background included, as the model counts them."""
    return len(self.categories) + 1

  @property
  def num_trainable(self) -> int:
    """Number of instances that are no crowd regions."""
    return self.num_instances - self.checks.get('crowd_regions', 0)

  def num_training_images(self, published_selection: bool) -> int:
    """Number of images of a training epoch.

    Args:
      published_selection: whether images without annotations or with a side under 32 pixels are
        left out. For records of earlier versions it is an estimate, which subtracts an image with
        both twice, and one whose annotations all lack a usable box or mask.
    """
    if not published_selection:
      return self.num_images
    if self.statistics and self.statistics.num_selected_images is not None:
      return max(1, self.statistics.num_selected_images)
    sizes = self.statistics.image_sizes if self.statistics else ()
    num_small = sum(number for *size, number in sizes if min(size) < MIN_IMAGE_SIDE)
    return max(1, self.num_images - self.checks.get('images_without_instances', 0) - num_small)

  @property
  def sample_format(self) -> SampleFormat:
    """Channels and depth of the images; earlier versions wrote RGB images of 8 bits only."""
    known = self.statistics
    return SampleFormat(known.num_channels, known.bits) if known else RGB

  @property
  def category_names(self) -> list[str]:
    """Names of the classes ordered by label; entry 0 has label 1."""
    return [category.name for category in self.categories]

  @property
  def category_ids(self) -> list[int]:
    """Category ids in the annotations ordered by label; entry 0 has label 1."""
    return [category.id for category in self.categories]

  def label_map(self, model: 'DatasetInfo') -> list[int] | None:
    """The label of a model for each label of these records, the background first.

    Args:
      model: the classes of the model.

    Returns:
      None if a category of these records is not one of the model, with the same id and name.
    """
    labels = {(category.id, category.name): category.label for category in model.categories}
    found = [labels.get((category.id, category.name)) for category in self.categories]
    return [0, *(label for label in found if label)] if all(found) else None

  @property
  def annotation_path(self) -> str:
    """Path of the cleaned COCO annotations."""
    return os.path.join(self.folder, self.annotation_file)

  def save(self, path: str) -> None:
    """Write the metadata as JSON, completely or not at all."""
    content = {'version': VERSION, **dataclasses.asdict(self)}
    del content['folder']
    files.write_bytes(path, (_to_text(content) + '\n').encode())

  @classmethod
  def load(cls, path: str) -> 'DatasetInfo':
    """The content of a metadata file.

    Raises:
      DataError: the file is missing, holds something else or is of another version.
    """
    content = _read_json(path)
    if not _is_metadata(content) or content['version'] != VERSION:
      raise DataError(
        f'{path} is not the metadata of a data set',
        expected=f'the JSON file written by the converter, version {VERSION}',
        got=f'version {content.get("version")}'
        if isinstance(content, dict)
        else type(content).__name__,
        likely_cause='another file, or records of another version of htc_tf: convert the data set '
        'again',
      )
    return _from_json(content, path)

  @classmethod
  def find(cls, input_path: str | Sequence[str]) -> 'DatasetInfo':
    """The metadata of the records that an input path names.

    Args:
      input_path: path or glob pattern of shards of one data set, e.g. `/data/train-*.tfrecord` or
        `/data/train-00000-of-00008.tfrecord`; or several of them, separated by commas or in a list.

    Raises:
      DataError: the path names records of no data set, or of several.
    """
    found: dict[str, DatasetInfo] = {}
    patterns = input_path.split(',') if isinstance(input_path, str) else input_path
    for pattern in patterns:
      matches = _metadata_of(pattern.strip())
      if not matches:
        raise DataError(
          f'No metadata of a data set belongs to {pattern.strip()!r}',
          expected='<prefix>.json beside <prefix>-00000-of-0000N.tfrecord',
          got=_describe_folder(file_systems.dirname(pattern.strip())),
          likely_cause='a misspelled path, or a conversion that did not finish: run it again',
        )
      found.update(matches)
    if len(found) > 1:
      raise DataError(
        f'{input_path!r} matches several data sets',
        expected='shards of one data set',
        got=', '.join(sorted(found)),
        likely_cause='a pattern that is too wide',
      )
    return next(iter(found.values()))


def find_all(pattern: str) -> dict[str, DatasetInfo]:
  """The metadata of every data set with a shard that a pattern matches, by the prefix of its files.

  Args:
    pattern: path or glob pattern of shards, e.g. `/data/*` for all data sets in a folder.
  """
  return {
    os.path.splitext(os.path.basename(path))[0]: info
    for path, info in _metadata_of(pattern).items()
  }


def _to_text(value: Any, indent: str = '') -> str:
  """JSON with the entries of objects on lines of their own, and lists of numbers on one line."""
  inner = indent + '  '
  if isinstance(value, dict) and value:
    lines = [f'{inner}{json.dumps(key)}: {_to_text(entry, inner)}' for key, entry in value.items()]
    return '{\n' + ',\n'.join(lines) + f'\n{indent}}}'
  if isinstance(value, tuple) and value and isinstance(value[0], dict):
    return '[\n' + ',\n'.join(f'{inner}{json.dumps(entry)}' for entry in value) + f'\n{indent}]'
  return json.dumps(value)


def _metadata_of(pattern: str) -> dict[str, DatasetInfo]:
  """Metadata by path, for all data sets with at least one shard that the pattern matches."""
  folder, name_pattern = file_systems.dirname(pattern), os.path.basename(pattern)
  found = {}
  for path in sorted(file_systems.glob(os.path.join(folder, '*.json'))):
    content = _read_candidate(path)
    if not _is_metadata(content):
      continue
    prefix = os.path.splitext(os.path.basename(path))[0]
    count = content['num_shards']
    names = [shard_name(prefix, shard, count) for shard in range(count)]
    if fnmatch.filter(names, name_pattern):
      found[path] = DatasetInfo.load(path)
  return found


def _read_candidate(path: str) -> Any:
  """The content of a JSON file that may be metadata; None if the file is large or malformed."""
  limit = _MAX_NAMED_BYTES if path.endswith('_annotations.json') else _MAX_BYTES
  try:
    return _read_json(path) if file_systems.size(path) <= limit else None
  except (DataError, OSError):
    return None


def _read_json(path: str) -> Any:
  try:
    return json.loads(file_systems.read_bytes(path).decode())
  except OSError as error:
    raise DataError(
      f'{path} cannot be read',
      expected='the metadata of records',
      got=error.strerror or str(error),
      likely_cause='a wrong path, or missing permission',
    ) from error
  except (ValueError, RecursionError) as error:
    raise DataError(f'{path} is not JSON', got=str(error)) from error


def _is_metadata(content: Any) -> bool:
  required = {
    'version',
    'name',
    'num_images',
    'num_instances',
    'num_shards',
    'categories',
    'semantic',
    'include_masks',
    'annotation_file',
  }
  return isinstance(content, dict) and required <= content.keys()


def _from_json(content: dict[str, Any], path: str) -> DatasetInfo:
  values = {
    field.name: content[field.name]
    for field in dataclasses.fields(DatasetInfo)
    if field.name in content
  }
  try:
    categories = sorted(
      (Category(**entry) for entry in content['categories']), key=lambda c: c.label
    )
    semantic = content['semantic'] and SemanticInfo(**content['semantic'])
    statistics = content.get('statistics')
    statistics = statistics and DatasetStatistics.from_json(statistics)
  except TypeError as error:
    raise DataError(f'{path} has a malformed entry', got=str(error)) from error
  labels = [category.label for category in categories]
  if labels != list(range(1, len(labels) + 1)):
    raise DataError(
      f'The category labels in {path} are not contiguous', expected='1..K', got=str(labels)
    )
  values.update(
    categories=tuple(categories),
    semantic=semantic,
    statistics=statistics,
    folder=file_systems.dirname(path),
  )
  return DatasetInfo(**values)


def _describe_folder(folder: str) -> str:
  """The metadata files in a folder, for an error message."""
  folder = folder or '.'
  if not file_systems.glob(folder):
    return f'no folder {folder}'
  names = sorted(
    os.path.basename(path) for path in file_systems.glob(os.path.join(folder, '*.json'))
  )
  return f'metadata files there: {", ".join(names[:10]) or "none"}'
