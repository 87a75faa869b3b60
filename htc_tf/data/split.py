"""Division of a data set into images for training and for validation.

Images that belong together, such as the frames of a video, stay together: otherwise the validation
would measure how well a model remembers its training images. So do entries of one file, such as its
tiles, whatever the images are grouped by.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.data import image_groups
from htc_tf.data.image_groups import Entry
from htc_tf.errors import ConfigError, DataError

_NO_CLASS = -1  # Stands for images without objects.
_EVALUATED_GROUPS = 3  # A class with so many groups is part of the validation.


@dataclasses.dataclass(frozen=True)
class Division:
  """Options of a division.

  Attributes:
    fraction: share of the images for validation, above 0 and below 1.
    seed: seed of the order in which images are taken.
    group_by: 'auto' groups images by a field of their entries that names a group, such as
      `video_id`, or by their names, where these show copies of an image or frames of a video;
      'none' does not; otherwise the name of a field, or a regular expression for file names, whose
      first group, or else whole match, is the group.

  Raises:
    ConfigError: an option is out of range.
  """

  fraction: float
  seed: int = 0
  group_by: str = image_groups.AUTOMATIC

  def __post_init__(self) -> None:
    if not 0 < self.fraction < 1:
      raise ConfigError(
        'val_fraction is out of range',
        expected='a share above 0 and below 1, such as 0.2',
        got=repr(self.fraction),
        likely_cause='a percentage',
      )
    if self.seed < 0:
      raise ConfigError(
        'split_seed is out of range', expected='a number from 0 on', got=repr(self.seed)
      )


class Split(NamedTuple):
  """A division of images.

  Attributes:
    train: ids of the images for training.
    val: ids of the images for validation.
    grouping: what the groups of images were made by; empty if every image stands alone.
    num_groups: number of groups.
  """

  train: frozenset[int]
  val: frozenset[int]
  grouping: str
  num_groups: int


def divide(
  images: Sequence[Entry],
  classes: Mapping[int, Iterable[int]],
  division: Division,
  copies: Mapping[str, str] | None = None,
) -> Split:
  """A division of images with about the same share of the images of every class in both parts.

  The rule is iterative stratification (Sechidis et al., ECML 2011, algorithm 1): the class with the
  fewest images comes first, and each of its groups goes to the part that lacks most images of this
  class. A class of two groups or fewer may miss in the validation, a larger one does not.

  Args:
    images: COCO image entries.
    classes: the classes of the objects of each image, by image id.
    division: options of the division.
    copies: for names of files with the content of another one, the name of that one.

  Raises:
    ConfigError: `group_by` fits no image.
    DataError: there are too few images or groups to divide.
  """
  grouping, groups = image_groups.find(images, division.group_by, copies or {})
  if len(groups) < 2:
    raise DataError(
      'The images cannot be divided for training and validation',
      expected='two images or groups of images, or more',
      got=f'{len(images)} images in {len(groups)} groups' + (f' by {grouping}' if grouping else ''),
      likely_cause='too few images, or copies of one file; or images that are one group, which '
      '--group_by=none divides',
    )
  units = [
    _Unit(ids, frozenset().union(*(classes.get(id_, ()) for id_ in ids)) or frozenset([_NO_CLASS]))
    for ids in groups
  ]
  order = np.random.default_rng(division.seed).permutation(len(units))
  val = _chosen([units[index] for index in order], division.fraction)
  train = frozenset(image['id'] for image in images) - val
  return Split(train, val, grouping, len(groups))


class _Unit(NamedTuple):
  """Images that stay together, and the classes of their objects."""

  ids: list[int]
  classes: frozenset[int]


def _chosen(units: list[_Unit], fraction: float) -> frozenset[int]:
  """Ids of the images for validation: at least one group, and not all."""
  wanted = _Wanted(units, fraction)
  parts: dict[bool, list[_Unit]] = {True: [], False: []}
  of_class: dict[int, list[_Unit]] = collections.defaultdict(list)
  for unit in units:
    for class_ in unit.classes:
      of_class[class_].append(unit)
  num_left = {class_: len(found) for class_, found in of_class.items()}
  taken: set[int] = set()
  while num_left:
    rarest = min(num_left, key=lambda class_: (class_ == _NO_CLASS, num_left[class_], class_))
    for unit in of_class[rarest]:
      if id(unit) not in taken:
        taken.add(id(unit))
        parts[wanted.take(unit, rarest)].append(unit)
        for class_ in unit.classes:
          num_left[class_] -= 1
    num_left = {class_: number for class_, number in num_left.items() if number}
  for empty, other in ((True, False), (False, True)):
    if not parts[empty]:
      parts[empty].append(parts[other].pop(_replaceable(parts[other])))
  return frozenset(id_ for unit in parts[True] for id_ in unit.ids)


class _Wanted:
  """The numbers of images that the parts still lack, by class and in all.

  Args:
    units: all groups of images.
    fraction: share of the images for validation.
  """

  def __init__(self, units: list[_Unit], fraction: float):
    num_images: collections.Counter[int] = collections.Counter()
    num_groups: collections.Counter[int] = collections.Counter()
    for unit in units:
      num_images.update(dict.fromkeys(unit.classes, len(unit.ids)))
      num_groups.update(unit.classes)
    val = {
      class_: _wanted_for_val(class_, fraction * number, num_groups[class_])
      for class_, number in num_images.items()
    }
    self._by_class = {
      True: val,
      False: {class_: number - val[class_] for class_, number in num_images.items()},
    }
    total = sum(len(unit.ids) for unit in units)
    self._in_all = {True: fraction * total, False: (1 - fraction) * total}

  def take(self, unit: _Unit, class_: int) -> bool:
    """Whether the part for validation lacks more images of a class; that part gets the group."""
    lack = {part: (self._by_class[part][class_], self._in_all[part]) for part in (True, False)}
    part = lack[True] > lack[False]
    self._in_all[part] -= len(unit.ids)
    for other in unit.classes:
      self._by_class[part][other] -= len(unit.ids)
    return part


def _wanted_for_val(class_: int, share: float, num_groups: int) -> float:
  """Number of images of a class for validation: none of the only group, one of three or more."""
  if class_ == _NO_CLASS:
    return share
  if num_groups == 1:
    return 0.0
  return max(share, 1.0) if num_groups >= _EVALUATED_GROUPS else share


def _replaceable(units: list[_Unit]) -> int:
  """Index of a group whose classes other groups have too, if there is one; of few images."""
  counts = collections.Counter(class_ for unit in units for class_ in unit.classes)

  def loss(index: int) -> tuple[int, int]:
    unit = units[index]
    return sum(counts[class_] == 1 for class_ in unit.classes), len(unit.ids)

  return min(range(len(units)), key=loss)
