"""Semantic maps of records: painted from instances, read from stuff maps or panoptic maps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from htc_tf.data import images, panoptic_maps, record_example, stuff_maps, tiles
from htc_tf.data.check_report import CheckReport

Entry = dict[str, Any]


class MapOptions(NamedTuple):
  """Where semantic maps come from.

  Attributes:
    source: 'none', 'stuff_maps', 'instances' or 'panoptic'.
    folder: folder of the stuff maps or panoptic maps; empty for other sources.
    num_classes: number of classes of the maps; labels that are not below it are ignored.
    order: which of overlapping instances is seen; see `record_example.paint_semantic`.
    background: label of the background in maps from instances.
  """

  source: str
  folder: str
  num_classes: int
  order: str
  background: int


class SemanticMaps:
  """A reader of semantic maps, which counts findings.

  Args:
    options: where the maps come from.
    report: counts of the findings.
  """

  def __init__(self, options: MapOptions, report: CheckReport):
    self._options = options
    self._report = report
    # The tiles of an image follow each other, so the last map is kept, by its path.
    self._last: tuple[str, _Fault | np.ndarray] | None = None

  def map_of(
    self,
    entry: Entry,
    instances: Sequence[record_example.LabeledInstance],
    size: tuple[int, int],
  ) -> np.ndarray:
    """The semantic map of an image or tile, [height, width] uint8.

    Args:
      entry: its image entry.
      instances: its instances, with bitmaps if the map is painted from them.
      size: height and width of the image or tile.
    """
    options = self._options
    if options.source == 'instances':
      return record_example.paint_semantic(instances, *size, options.order, options.background)
    labels = self._read(entry)
    if labels is None:
      return np.full(size, images.IGNORED_LABEL, np.uint8)
    cleaned, found_outside = images.clean_label_map(tiles.crop(labels, entry), options.num_classes)
    if set(np.unique(cleaned)) == {0, images.IGNORED_LABEL} and options.source == 'stuff_maps':
      self._report.add('stuff_map_binary', entry['file_name'])
    if found_outside:
      self._report.add(
        'semantic_label_out_of_range', f'{entry["file_name"]} (up to {labels.max()})'
      )
    return cleaned

  def _read(self, entry: Entry) -> np.ndarray | None:
    """The map of the whole image, or None if it is unusable, which is counted for every tile."""
    path = stuff_maps.path_of(self._options.folder, entry)
    if self._last is None or self._last[0] != path:
      self._last = None  # Two large maps need not be held at once.
      self._last = (path, self._read_file(path, entry))
    found = self._last[1]
    if isinstance(found, _Fault):
      self._report.add(found.check, f'{entry["file_name"]}{found.detail}')
      return None
    return found

  def _read_file(self, path: str, entry: Entry) -> '_Fault | np.ndarray':
    """The map in a file, or what is wrong with it."""
    try:
      if self._options.source == 'panoptic':
        labels = panoptic_maps.labels_of(panoptic_maps.read(path), entry['panoptic']['labels'])
      else:
        labels = images.read_label_map(path)
    except (images.UnreadableImageError, OSError) as error:
      is_colored = isinstance(error, images.UnreadableImageError) and 'mode RGB' in str(error)
      return _Fault('stuff_map_colored' if is_colored else 'stuff_map_unusable', f': {error}')
    if labels.shape != tiles.image_size(entry):
      size = f' (size {labels.shape[1]}x{labels.shape[0]})'
      return _Fault('stuff_map_unusable', size)
    return labels


class _Fault(NamedTuple):
  """Why a map is unusable: the check that counts it, and a detail for the example."""

  check: str
  detail: str
