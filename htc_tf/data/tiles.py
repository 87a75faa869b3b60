"""Tiles of large images: their places, and the objects that each of them shows.

An object is an instance of a tile if the tile shows at least a given share of its area. A smaller
part is a crowd region there: neither an instance nor background. Masks are cut at the border.
"""

import math
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.data import mask_codec, mask_windows
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.mask_runs import Window


class TileOptions(NamedTuple):
  """How images are cut.

  Attributes:
    size: side of a tile; an image that is not larger stays whole.
    overlap: pixels that neighboring tiles share.
    min_visible: smallest visible share of an object that is an instance of a tile.
    drop_empty: whether tiles without any annotation are left out.
    with_masks: whether objects are cut by their masks; otherwise by their boxes.
  """

  size: int
  overlap: int
  min_visible: float
  drop_empty: bool
  with_masks: bool


class _Part(NamedTuple):
  """What a tile shows of an object."""

  share: float
  box: list[float]  # in the tile
  area: float
  segmentation: object | None


def cut(
  images: Sequence[Entry],
  annotations: dict[int, list[Entry]],
  options: TileOptions,
  report: CheckReport,
) -> tuple[list[Entry], dict[int, list[Entry]]]:
  """Tiles in place of the images that are larger than a tile, and their annotations.

  The entry of a tile has the name of the image with the place of the tile, and in `tile` the name,
  id and size of the image and the place. Annotations of tiles have the id of the object in
  `source_id`.

  Args:
    images: cleaned image entries.
    annotations: cleaned annotations by image id.
    options: how images are cut.
    report: counts of the findings.

  Returns:
    Image entries, and annotations by image id; both with new ids for tiles.
  """
  kept: list[Entry] = []
  of_image: dict[int, list[Entry]] = {}
  next_image = max((image['id'] for image in images), default=0) + 1
  next_annotation = 1 + max((e['id'] for found in annotations.values() for e in found), default=0)
  for image in images:
    entries = annotations[image['id']]
    if max(image['height'], image['width']) <= options.size:
      kept.append(image)
      of_image[image['id']] = entries
      continue
    report.add('image_tiled', image['file_name'])
    tiles = list(_tiles(image, options))
    for tile, found in zip(tiles, _cut_annotations(tiles, entries, image, options, report)):
      if not found:
        report.add('tile_dropped' if options.drop_empty else 'tile_empty', tile['file_name'])
        if options.drop_empty:
          continue
      tile['id'], next_image = next_image, next_image + 1
      for entry in found:
        entry.update(id=next_annotation, image_id=tile['id'])
        next_annotation += 1
      kept.append(tile)
      of_image[tile['id']] = found
  return kept, of_image


def starts(length: int, size: int, overlap: int) -> list[int]:
  """Where tiles begin along a side; the last one ends with the image.

  Args:
    length: side of the image.
    size: side of a tile.
    overlap: pixels that neighboring tiles share.
  """
  stride = size - overlap
  number = math.ceil(max(length - size, 0) / stride) + 1
  return [min(index * stride, max(length - size, 0)) for index in range(number)]


def file_name(entry: Entry) -> str:
  """Name of the image file of an entry, which may be a tile."""
  return entry['tile']['file_name'] if 'tile' in entry else entry['file_name']


def image_size(entry: Entry) -> tuple[int, int]:
  """Height and width of the image file of an entry, which may be a tile."""
  source = entry.get('tile', entry)
  return source['height'], source['width']


def crop(array: np.ndarray, entry: Entry) -> np.ndarray:
  """The part of an image or map [height, width, ...] that belongs to an entry."""
  if 'tile' not in entry:
    return array
  top, left = entry['tile']['top'], entry['tile']['left']
  return array[top : top + entry['height'], left : left + entry['width']]


def _tiles(image: Entry, options: TileOptions) -> Iterator[Entry]:
  height, width = image['height'], image['width']
  stem, suffix = posixpath.splitext(image['file_name'])
  for top in starts(height, options.size, options.overlap):
    for left in starts(width, options.size, options.overlap):
      yield {
        **image,
        'file_name': f'{stem}_y{top:05d}_x{left:05d}{suffix}',
        'height': min(options.size, height),
        'width': min(options.size, width),
        'source_image': image['file_name'],
        'tile': {
          'file_name': image['file_name'],
          'image_id': image['id'],
          'height': height,
          'width': width,
          'top': top,
          'left': left,
        },
      }


def _cut_annotations(
  tiles: list[Entry],
  entries: Iterable[Entry],
  image: Entry,
  options: TileOptions,
  report: CheckReport,
) -> list[list[Entry]]:
  """The annotations of each tile, without ids."""
  found: list[list[Entry]] = [[] for _ in tiles]
  for entry in entries:
    window, total = None, 0
    if options.with_masks:
      segmentation = entry['segmentation']
      window = mask_windows.window_of(segmentation, image['height'], image['width'])
      total = int(np.count_nonzero(window.bitmap))
      if not total:
        report.add('empty_mask', f'annotation {entry["id"]}')
        continue
    for tile, kept in zip(tiles, found):
      part = _part(entry, window, total, tile)
      if part is None:
        continue
      is_part = part.share < options.min_visible and not entry['iscrowd']
      if is_part or (part.share < 1 and not entry['iscrowd']):
        name = f'annotation {entry["id"]} in {tile["file_name"]}'
        report.add('tile_part_ignored' if is_part else 'tile_part', name)
      cut_entry = {**entry, 'source_id': entry['id'], 'bbox': part.box, 'area': part.area}
      cut_entry['iscrowd'] = int(entry['iscrowd'] or is_part)
      if part.segmentation is not None:
        cut_entry['segmentation'] = part.segmentation
      kept.append(cut_entry)
  return found


def _part(entry: Entry, window: Window | None, total: int, tile: Entry) -> _Part | None:
  """What a tile shows of an object; None if nothing. `total` is the area of its window."""
  top, left = tile['tile']['top'], tile['tile']['left']
  box = _box_inside(entry['bbox'], tile, top, left)
  if window is None:
    if box is None:
      return None
    share = box[2] * box[3] / (entry['bbox'][2] * entry['bbox'][3])
    is_whole = math.isclose(share, 1)
    return _Part(1.0 if is_whole else share, box, entry['area'] * share, None)
  shown = mask_windows.part_of(window, top, left, tile['height'], tile['width'])
  visible = 0 if shown is None else int(np.count_nonzero(shown.bitmap))
  if shown is None or not visible:
    return None
  runs = mask_codec.encode(mask_windows.placed(shown, tile['height'], tile['width']))
  if visible == total and box is not None:
    return _Part(1.0, box, entry['area'], _moved(entry['segmentation'], top, left) or runs)
  return _Part(visible / total, mask_windows.box_of(shown), float(visible), runs)


def _box_inside(box: list[float], tile: Entry, top: int, left: int) -> list[float] | None:
  x, y = max(box[0] - left, 0), max(box[1] - top, 0)
  right = min(box[0] + box[2] - left, tile['width'])
  bottom = min(box[1] + box[3] - top, tile['height'])
  return [x, y, right - x, bottom - y] if right > x and bottom > y else None


def _moved(segmentation: object, top: int, left: int) -> list[list[float]] | None:
  """Polygons relative to a tile; None for run lengths."""
  if not isinstance(segmentation, list):
    return None
  shift = (left, top)
  return [[value - shift[index % 2] for index, value in enumerate(p)] for p in segmentation]
