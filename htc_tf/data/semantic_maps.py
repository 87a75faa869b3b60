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
    """The map of the whole image, or None if it is unusable."""
    size = tiles.image_size(entry)
    path = stuff_maps.path_of(self._options.folder, entry)
    try:
      if self._options.source == 'panoptic':
        labels = panoptic_maps.labels_of(panoptic_maps.read(path), entry['panoptic']['labels'])
      else:
        labels = images.read_label_map(path)
    except (images.UnreadableImageError, OSError) as error:
      is_colored = isinstance(error, images.UnreadableImageError) and 'mode RGB' in str(error)
      check = 'stuff_map_colored' if is_colored else 'stuff_map_unusable'
      self._report.add(check, f'{entry["file_name"]}: {error}')
      return None
    if labels.shape != size:
      self._report.add(
        'stuff_map_unusable', f'{entry["file_name"]} (size {labels.shape[1]}x{labels.shape[0]})'
      )
      return None
    return labels
