"""A report on stuff maps before a conversion: labels, ignored pixels, colors, sizes and names."""

import collections
import dataclasses
import os
from collections.abc import Iterable, Iterator

import numpy as np

from htc_tf import file_systems, progress
from htc_tf.data import image_paths
from htc_tf.data.formats import image_sizes, mask_files
from htc_tf.data.formats.image_locations import ImageIndex
from htc_tf.data.images import IGNORED_LABEL
from htc_tf.data.stuff_maps import map_path
from htc_tf.errors import DataError

_MAX_EXAMPLES = 3
_MANY_IGNORED = 0.5
_SHOWN_LABELS = 40


@dataclasses.dataclass
class StuffMapReport:
  """What was found in the stuff maps of a folder of images.

  Attributes:
    num_maps: number of maps that were read.
    pixels: number of pixels by label.
    maps: number of maps that have a label, by label.
    faults: names of images by fault.
    num_classes: number of classes; labels from it on, except 255, are unknown.
  """

  num_classes: int
  num_maps: int = 0
  pixels: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
  maps: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
  faults: dict[str, list[str]] = dataclasses.field(
    default_factory=lambda: collections.defaultdict(list)
  )

  @property
  def ignored_share(self) -> float:
    """Share of the pixels with the label 255 or an unknown one."""
    total = sum(self.pixels.values())
    ignored = sum(
      count
      for label, count in self.pixels.items()
      if label >= self.num_classes or label == IGNORED_LABEL
    )
    return ignored / total if total else 0.0

  @property
  def unknown_labels(self) -> list[int]:
    """Labels that are neither below the number of classes nor 255."""
    return sorted(x for x in self.pixels if x >= self.num_classes and x != IGNORED_LABEL)

  def lines(self) -> Iterator[str]:
    """The report in words: faults first, then a table of the labels."""
    yield f'{self.num_maps} stuff maps, {self.ignored_share:.1%} of the pixels ignored'
    if self.ignored_share > _MANY_IGNORED:
      yield 'warning: most pixels are ignored; is 255 the label of an object?'
    if self.unknown_labels:
      shown = ', '.join(map(str, self.unknown_labels[:_SHOWN_LABELS]))
      yield f'warning: labels from {self.num_classes} on are ignored: {shown}'
    for fault, names in self.faults.items():
      yield f'{len(names):8d} {fault}: e.g. {", ".join(names[:_MAX_EXAMPLES])}'
    total = sum(self.pixels.values())
    yield '   label      maps    pixels'
    for label in sorted(self.pixels)[:_SHOWN_LABELS]:
      yield f'{label:8d} {self.maps[label]:9d} {self.pixels[label] / total:9.2%}'
    if len(self.pixels) > _SHOWN_LABELS:
      yield f'     ... {len(self.pixels) - _SHOWN_LABELS} more labels'


def check(
  image_folder: str, stuff_folder: str, num_classes: int, names: Iterable[str] = ()
) -> StuffMapReport:
  """The report on the stuff maps of images.

  Args:
    image_folder: folder of the images.
    stuff_folder: folder of the maps, PNG files with the names of the images.
    num_classes: number of classes.
    names: file names of the images; empty takes all images in the folder.

  Raises:
    DataError: there is no image.
    InputError: a folder is remote.
  """
  for name, folder in (('image_folder', image_folder), ('stuff_folder', stuff_folder)):
    file_systems.check_local(folder, name)
  listed = list(names) or ImageIndex(image_folder).names
  if not listed:
    raise DataError(f'{image_folder} has no images', expected='images with stuff maps', got='none')
  report = StuffMapReport(num_classes)
  paths = {name: map_path(stuff_folder, name) for name in listed}
  for name, path in progress.track(paths.items(), description='reading maps', unit='map'):
    _add(report, name, path, image_paths.path_inside(image_folder, name))
  used = {os.path.abspath(path) for path in paths.values()}
  for other in ImageIndex(stuff_folder, used).names:
    report.faults['maps without an image (not used)'].append(other)
  return report


def _add(report: StuffMapReport, name: str, path: str, image_path: str) -> None:
  if not os.path.isfile(path):
    report.faults['images without a map'].append(name)
    return
  with open(path, 'rb') as file:
    found = mask_files.read_map(file.read())
  if found is None:
    report.faults['maps that cannot be read'].append(name)
    return
  if found.has_colors and not found.is_palette:
    report.faults['maps with colors instead of labels'].append(name)
    return
  size = image_sizes.size_of(image_path, upright=True)
  if size is not None and found.numbers.shape not in (size, size[::-1]):
    report.faults['maps of another size than their image'].append(name)
    return
  report.num_maps += 1
  labels, counts = (part.tolist() for part in np.unique(found.numbers, return_counts=True))
  if set(labels) == {0, IGNORED_LABEL}:
    report.faults['maps with only 0 and 255 (255 is ignored)'].append(name)
  for label, count in zip(labels, counts):
    report.pixels[label] += count
    report.maps[label] += 1
