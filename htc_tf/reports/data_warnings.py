"""What a user should know about a data set before training on it."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from htc_tf.configs.frames import Resizing
from htc_tf.data import statistics
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.reports.shown_data import Split

TINY_SIDE = 16  # Half of the smallest anchor, and four cells of the finest feature map.
_FEW_OBJECTS = 5
_IMBALANCE = 20
_TINY_SHARE = 0.1
_EMPTY_SHARE = 0.5
_MAX_NAMES = 8


def data_warnings(
  splits: Sequence[Split], scale: float | None, max_num_instances: int | None
) -> list[str]:
  """Sentences about the data of all splits, the most serious kinds first.

  Args:
    splits: the splits; the first one is trained on.
    scale: median factor from stored images to the network input; None if it is unknown.
    max_num_instances: largest number of objects of an image that training keeps; None if unknown.
  """
  train = splits[0]
  lines = [*_differing_categories(splits), *_equal_names(train)]
  for split in splits:
    if split.info.statistics is None:
      lines.append(
        f'The records of {split.name} are of an earlier version and have no statistics; convert '
        'the data set again to see them.'
      )
  lines += _rare_classes(train)
  lines += _only_elsewhere(splits)
  lines += _imbalance(train)
  if scale is not None:
    lines += _tiny_objects(train.info, scale)
  if max_num_instances is not None:
    lines += _crowded(train.info, max_num_instances)
  lines += _empty_images(train.info)
  return lines


def median_scale(info: DatasetInfo, resizing: Resizing) -> float | None:
  """The median factor by which training without augmentation resizes images; None if unknown."""
  if info.statistics is None:
    return None
  scales, counts = [], []
  for height, width, count in info.statistics.image_sizes:
    scales.append(resizing.scale(height, width))
    counts.append(count)
  order = np.argsort(scales)
  reached = np.cumsum(np.array(counts)[order])
  middle = np.searchsorted(reached, reached[-1] / 2)
  return scales[order[middle]]


def share_below(info: DatasetInfo, side: float) -> float | None:
  """The approximate share of objects with a box side below `side` stored pixels; None if unknown.

  The side of a box is that of a square with its area.
  """
  if info.statistics is None or not info.statistics.box_sides:
    return None
  sides = np.array(info.statistics.box_sides)
  return float(np.interp(side, sides, statistics.QUANTILES, left=0.0, right=1.0))


def _differing_categories(splits: Sequence[Split]) -> Iterator[str]:
  train = splits[0]
  for split in splits[1:]:
    if split.info.categories != train.info.categories:
      yield (
        f'{split.name} has other categories than {train.name}: '
        f'{len(split.info.categories)} instead of {len(train.info.categories)}, or other ids. '
        'Detections are matched by id and name.'
      )


def _equal_names(split: Split) -> Iterator[str]:
  names = collections.Counter(split.info.category_names)
  shared = [name for name, count in names.items() if count > 1]
  if shared:
    yield (
      f'Several classes have the same name: {_listed(shared)}. They are told apart by their ids; '
      'if they are the same class, merge them in the annotations.'
    )


def _rare_classes(split: Split) -> Iterator[str]:
  counts = _counts(split)
  none = [name for name, count in counts.items() if count == 0]
  few = [f'{name} ({count})' for name, count in counts.items() if 0 < count < _FEW_OBJECTS]
  if none:
    yield f'{_classes(none)} no object in {split.name}: {_listed(none)}.'
  if few:
    yield f'{_classes(few)} fewer than {_FEW_OBJECTS} objects in {split.name}: {_listed(few)}.'


def _only_elsewhere(splits: Sequence[Split]) -> Iterator[str]:
  train = _counts(splits[0])
  for split in splits[1:]:
    names = [name for name, count in _counts(split).items() if count and train.get(name) == 0]
    if names:
      yield (
        f'{_classes(names)} objects in {split.name} but none in {splits[0].name}: '
        f'{_listed(names)}. They cannot be learned.'
      )


def _imbalance(split: Split) -> Iterator[str]:
  counts = {name: count for name, count in _counts(split).items() if count}
  if not counts:
    return
  most, least = max(counts, key=lambda name: counts[name]), min(counts, key=lambda n: counts[n])
  if counts[most] >= _IMBALANCE * counts[least]:
    yield (
      f'Classes are out of balance: {most} has {counts[most]:,} objects, {least} has '
      f'{counts[least]:,}.'
    )


def _tiny_objects(info: DatasetInfo, scale: float) -> Iterator[str]:
  share = share_below(info, TINY_SIDE / scale)
  if share is not None and share >= _TINY_SHARE:
    yield (
      f'About {share:.0%} of the objects are smaller than {TINY_SIDE} pixels at the input size of '
      'the network and are hard to find. A larger input size or tiles help.'
    )


def _crowded(info: DatasetInfo, limit: int) -> Iterator[str]:
  if info.statistics is None:
    return
  crowded = [
    (number, images) for number, images in info.statistics.objects_per_image if number > limit
  ]
  if crowded:
    num_images = sum(images for _, images in crowded)
    dropped = sum((number - limit) * images for number, images in crowded)
    yield (
      f'{num_images:,} images have more than max_num_instances = {limit} objects, at most '
      f'{crowded[-1][0]:,}; training would leave out {dropped:,} objects.'
    )


def _empty_images(info: DatasetInfo) -> Iterator[str]:
  if info.statistics is None or not info.num_images:
    return
  empty = dict(info.statistics.objects_per_image).get(0, 0)
  if empty >= _EMPTY_SHARE * info.num_images:
    yield f'{empty:,} of {info.num_images:,} images have no object.'


def _counts(split: Split) -> dict[str, int]:
  """Number of objects by name of the class; empty if it is unknown."""
  if split.info.statistics is None:
    return {}
  return dict(zip(split.class_names, split.info.statistics.instances_by_category))


def _classes(names: Sequence[str]) -> str:
  return f'{len(names)} classes have' if len(names) > 1 else 'One class has'


def _listed(names: Sequence[str]) -> str:
  """The first names, and how many follow."""
  rest = len(names) - _MAX_NAMES
  return ', '.join(names[:_MAX_NAMES]) + (f' and {rest} more' if rest > 0 else '')
