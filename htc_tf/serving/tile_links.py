"""Which detections of different tiles may be parts of one object."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.data import mask_runs
from htc_tf.data.mask_runs import Runs
from htc_tf.data.pixel_box import Box

# A mask that comes as near to the border of its tile, in pixels, is cut by it.
_BORDER = 2


class Found(NamedTuple):
  """A detection in a tile, in pixels of the image.

  Attributes:
    tile: number of the tile.
    label: class.
    score: score.
    box: [4] float32 yxyx.
    runs: mask; without masks, the pixels of the box.
  """

  tile: int
  label: int
  score: float
  box: np.ndarray
  runs: Runs


class Link(NamedTuple):
  """Two detections in two tiles whose masks overlap where both tiles look.

  Attributes:
    first: number of the detection in the earlier tile.
    second: number of the other one.
    similarity: intersection over union of the masks in the common region.
    first_share: share of the first mask, in the common region, that the second one covers.
    second_share: the reverse.
    first_is_cut: whether the border of its tile cuts the first one inside the other tile, and the
      second one goes on behind this border.
    second_is_cut: the reverse.
  """

  first: int
  second: int
  similarity: float
  first_share: float
  second_share: float
  first_is_cut: bool
  second_is_cut: bool


class _Part(NamedTuple):
  """What a detection of a number has in the common region of two tiles."""

  number: int
  runs: Runs
  area: int
  is_whole: bool


def find_links(
  found: Sequence[Found], tiles: Sequence[Box], class_agnostic: bool = False
) -> list[Link]:
  """All links between detections.

  Args:
    found: detections in the order of the tiles.
    tiles: tiles, row by row.
    class_agnostic: whether detections of different classes have links too.
  """
  of_tile: list[list[int]] = [[] for _ in tiles]
  for index, each in enumerate(found):
    of_tile[each.tile].append(index)
  boxes = np.array([each.runs.box for each in found], np.int64).reshape(-1, 4)
  labels = np.array([0 if class_agnostic else each.label for each in found], np.int64)
  links = []
  for first, second in _neighbors(tiles):
    region = tiles[first].intersection(tiles[second])
    candidates = _candidates(of_tile[first], of_tile[second], boxes, labels, region)
    parts: dict[int, _Part] = {}
    for pair in candidates:
      for index in pair:
        if index not in parts:
          parts[index] = _part(found, index, region)
      link = _link(parts[pair[0]], parts[pair[1]], tiles[first], tiles[second])
      if link is not None:
        links.append(link)
  return links


def _neighbors(tiles: Sequence[Box]) -> Iterator[tuple[int, int]]:
  """Pairs of overlapping tiles, of which the first one comes earlier."""
  for first, tile in enumerate(tiles):
    for second in range(first + 1, len(tiles)):
      if tiles[second].top >= tile.bottom:
        break
      if not tile.intersection(tiles[second]).is_empty:
        yield first, second


def _candidates(
  first: Sequence[int],
  second: Sequence[int],
  boxes: np.ndarray,
  labels: np.ndarray,
  region: Box,
) -> list[tuple[int, int]]:
  """Pairs of detections with one label of two tiles whose boxes overlap in the common region."""
  rows, columns = np.array(first, np.int64), np.array(second, np.int64)
  low = np.maximum(boxes[rows, np.newaxis, :2], boxes[columns, :2])
  high = np.minimum(boxes[rows, np.newaxis, 2:], boxes[columns, 2:])
  overlaps = np.maximum(low, region[:2]) < np.minimum(high, region[2:])
  is_candidate = overlaps.all(-1) & (labels[rows, np.newaxis] == labels[columns])
  return [(first[row], second[column]) for row, column in np.argwhere(is_candidate)]


def _part(found: Sequence[Found], index: int, region: Box) -> _Part:
  runs = found[index].runs.inside(region)
  return _Part(index, runs, runs.area, runs.area == found[index].runs.area)


def _link(first: _Part, second: _Part, first_tile: Box, second_tile: Box) -> Link | None:
  shared = mask_runs.shared_area(first.runs, second.runs)
  if not shared:
    return None
  return Link(
    first.number,
    second.number,
    shared / (first.area + second.area - shared),
    shared / first.area,
    shared / second.area,
    _is_cut(first.runs.box, first_tile, second_tile) and not second.is_whole,
    _is_cut(second.runs.box, second_tile, first_tile) and not first.is_whole,
  )


def _is_cut(part: Box, tile: Box, other: Box) -> bool:
  """Whether a part of a mask of `tile` reaches a border of it that is inside of `other`."""
  return (
    (part.top <= tile.top + _BORDER and other.top < tile.top)
    or (part.left <= tile.left + _BORDER and other.left < tile.left)
    or (part.bottom >= tile.bottom - _BORDER and other.bottom > tile.bottom)
    or (part.right >= tile.right - _BORDER and other.right > tile.right)
  )
