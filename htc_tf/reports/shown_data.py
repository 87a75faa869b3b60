"""The data sets that `htc-show` shows: those of a folder or of a pattern."""

import fnmatch
import os
from typing import NamedTuple

from htc_tf import file_systems
from htc_tf.data import dataset_info
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError
from htc_tf.evaluation.ground_truth import distinct_names

# Splits in the order in which they are shown; others follow by name.
_FIRST = ('train', 'val')


class Split(NamedTuple):
  """The records of one split.

  Attributes:
    name: prefix of its files, such as 'train'.
    info: its metadata.
    paths: paths of its shards.
  """

  name: str
  info: DatasetInfo
  paths: list[str]

  @property
  def class_names(self) -> list[str]:
    """Distinct names of the classes ordered by label; entry 0 has label 1."""
    return list(distinct_names(self.info.category_names, self.info.category_ids))


def find_splits(data: str, name: str = '') -> list[Split]:
  """The data sets in a folder, or those that a pattern matches, the training data first.

  Args:
    data: folder of records, path or glob pattern of shards, or several patterns with commas.
    name: name of the only split to return; empty for all.

  Raises:
    DataError: a part of `data` has no records, there is no split of this name, a split has no
      shards, or two folders have a split of the same name.
    InputError: TensorFlow cannot use the file system of a path.
  """
  found: dict[str, list[Split]] = {}
  for part in filter(None, map(str.strip, data.split(','))):
    file_systems.check_usable(part, 'data')
    for split in _splits_of(part):
      found[split.name] = _merged(found.get(split.name, []), split)
  if not found:
    raise _no_records(data)
  if name and name not in found:
    raise DataError(
      f'There is no split {name!r} in {data}',
      expected=f'one of {sorted(found)}',
      got=repr(name),
      likely_cause='the split is the prefix of the files: <split>-00000-of-00008.tfrecord',
    )
  order = {split: position for position, split in enumerate(_FIRST)}
  names = sorted(found, key=lambda split: (order.get(split, len(order)), split))
  return [_only(found[split]) for split in names if not name or split == name]


def _splits_of(path: str) -> list[Split]:
  """The splits in a folder, or those that one pattern matches."""
  pattern = os.path.join(path, '*.tfrecord') if file_systems.is_folder(path) else path
  splits = [
    Split(prefix, info, _shards(prefix, info, os.path.basename(pattern)))
    for prefix, info in dataset_info.find_all(pattern).items()
  ]
  if not splits:
    raise _no_records(path)
  return splits


def _merged(splits: list[Split], added: Split) -> list[Split]:
  """Splits of one name in different folders with another one, whose folder may be among them."""
  for position, split in enumerate(splits):
    if file_systems.same_folder(split.info.folder, added.info.folder):
      names = {os.path.basename(path) for path in (*split.paths, *added.paths)}
      paths = [os.path.join(split.info.folder, name) for name in sorted(names)]
      return [*splits[:position], split._replace(paths=paths), *splits[position + 1 :]]
  return [*splits, added]


def _only(splits: list[Split]) -> Split:
  """The only split of a name; raises DataError if there are several."""
  if len(splits) > 1:
    raise DataError(
      f'Several data sets are named {splits[0].name!r}',
      expected='one folder with records of this name, as for training',
      got=', '.join(split.info.folder or '.' for split in splits),
      likely_cause='folders of several data sets: show one at a time, or convert their annotations '
      'together',
    )
  return splits[0]


def _shards(prefix: str, info: DatasetInfo, name_pattern: str) -> list[str]:
  """Paths of the shards of a data set that exist and whose names match a pattern."""
  count = info.num_shards
  names = [dataset_info.shard_name(prefix, shard, count) for shard in range(count)]
  matching = fnmatch.filter(names, name_pattern)
  paths = [os.path.join(info.folder, name) for name in matching]
  present = [path for path in paths if file_systems.exists(path)]
  if not present:
    raise DataError(
      f'The records of {os.path.join(info.folder, prefix)} are missing',
      expected=f'{names[0]} ... {names[-1]}',
      got='none of these files',
      likely_cause='an incomplete copy: copy or convert the records again',
    )
  return present


def _no_records(data: str) -> DataError:
  """The error for data without records; it tells what is there instead."""
  folder = data if file_systems.is_folder(data) else ''
  names = file_systems.list_folder(folder) if folder else []
  likely_cause = 'a misspelled path'
  if names:
    likely_cause = 'images or annotations that were not converted yet: htc-create-coco-records'
  return DataError(
    f'There are no records in {data}',
    expected='a folder with <split>.json and <split>-00000-of-0000N.tfrecord, or a pattern of such '
    'files',
    got=f'a folder with {", ".join(names[:5]) or "no file"}' if folder else 'no such file',
    likely_cause=likely_cause,
  )
