"""From the detections of overlapping tiles to those of the image.

1. Two detections of one class in two tiles are the same object if their masks agree in the region
   that both tiles see: their intersection over union there is at least `MIN_SIMILARITY`. The surest
   pairs come first (similarity times the lower score), and an object has at most one detection of a
   tile, so that objects that touch stay apart.
2. A detection that is left over goes into an object of another tile if the border of its tile cuts
   it, the object covers at least `MIN_SHARE` of what both tiles see of it, and the object goes on
   behind this border; unless its own tile shows it in front of the object, as a second detection
   that overlaps that of the object by this share.

An object has the union of the masks, the highest score, and the box around the boxes. By the second
rule, a detection only adds its mask if its score is at least `COMPARABLE` times that of the object.
Models without masks are treated likewise, with boxes as masks.

If the NMS of the model acts across classes (`class_agnostic_nms`), so do both rules: detections of
different classes become one object too. As in NMS, the higher score wins: the object has the class
of its detection with the highest score, and of equal scores that of the earlier tile.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from htc_tf.data import mask_runs
from htc_tf.data.pixel_box import Box
from htc_tf.errors import InputError
from htc_tf.serving.instances import Instances
from htc_tf.serving.tile_links import Found, Link, find_links

MIN_SIMILARITY = 1 / 3
MIN_SHARE = 0.5
COMPARABLE = 0.5


def merge_tiles(
  tiles: Sequence[Box],
  of_tile: Sequence[Instances],
  image_hw: tuple[int, int],
  class_agnostic: bool = False,
) -> Instances:
  """The objects of an image, best score first.

  Args:
    tiles: tiles of the image, row by row.
    of_tile: detections in each, in pixels of the tile.
    image_hw: height and width of the image.
    class_agnostic: whether detections of different classes can be one object.

  Raises:
    InputError: run lengths cannot hold masks of this image.
  """
  has_masks = any(instances.rles is not None for instances in of_tile)
  _check_size(image_hw, has_masks)
  found = [
    each
    for number, (tile, instances) in enumerate(zip(tiles, of_tile))
    for each in _in_image(number, tile, instances)
  ]
  groups = _Groups(found)
  groups.join(find_links(found, tiles, class_agnostic))
  objects = sorted(groups.objects(), key=lambda each: -each.score)
  return Instances(
    np.array([each.box for each in objects], np.float32).reshape(-1, 4),
    np.array([each.label for each in objects], np.int32),
    np.array([each.score for each in objects], np.float32),
    [mask_runs.to_rle(each.runs, *image_hw) for each in objects] if has_masks else None,
  )


def _check_size(image_hw: tuple[int, int], has_masks: bool) -> None:
  height, width = image_hw
  if has_masks and height * width > mask_runs.MAX_PIXELS:
    raise InputError(
      'The image is too large for masks',
      expected=f'at most {mask_runs.MAX_PIXELS} pixels, which COCO run lengths can count',
      got=f'{width}x{height}',
      likely_cause='a picture that should be cut into several files',
    )


def _in_image(number: int, tile: Box, instances: Instances) -> list[Found]:
  """The detections of a tile in pixels of the image."""
  boxes = instances.boxes + np.tile(np.array([tile.top, tile.left], np.float32), 2)
  rles: Sequence[Any] = instances.rles if instances.rles is not None else [None] * len(boxes)
  return [
    Found(number, int(label), float(score), box, _runs(rle, box, tile))
    for label, score, box, rle in zip(instances.classes, instances.scores, boxes, rles)
  ]


def _runs(rle: dict[str, Any] | None, box: np.ndarray, tile: Box) -> mask_runs.Runs:
  if rle is not None:
    return mask_runs.of_rle(rle).moved(tile.top, tile.left)
  low, high = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
  return mask_runs.of_box(Box(*low.tolist(), *high.tolist()).intersection(tile))


class _Groups:
  """Detections that become one object, as sets that are joined.

  Args:
    found: all detections.
  """

  def __init__(self, found: Sequence[Found]):
    self._found = found
    self._members = {index: [index] for index in range(len(found))}  # By number of the group.
    self._group = list(range(len(found)))
    self._without_mask: set[int] = set()

  def join(self, links: Sequence[Link]) -> None:
    """Join groups by the two rules of this module."""
    for link in sorted(links, key=self._uncertainty):
      if link.similarity >= MIN_SIMILARITY:
        first, second = (self._tiles_of(index) for index in (link.first, link.second))
        if not first & second:
          self._unite(link.first, link.second)
    for link in sorted(links, key=lambda link: -max(link.first_share, link.second_share)):
      self._absorb(link.first, link.second, link.first_is_cut, link.first_share)
      self._absorb(link.second, link.first, link.second_is_cut, link.second_share)

  def objects(self) -> list[Found]:
    """The object of each group."""
    return [self._object(members) for members in self._members.values()]

  def _uncertainty(self, link: Link) -> float:
    scores = (self._found[link.first].score, self._found[link.second].score)
    return -link.similarity * min(scores)

  def _tiles_of(self, index: int) -> set[int]:
    return {self._found[member].tile for member in self._members[self._group[index]]}

  def _absorb(self, part: int, whole: int, is_cut: bool, share: float) -> None:
    """Put a detection that is left over into the object of another tile, by the second rule."""
    if not is_cut or share < MIN_SHARE or self._found[whole].tile in self._tiles_of(part):
      return
    if self._is_in_front(part, whole):
      return
    weakest = COMPARABLE * self._score(whole)
    self._without_mask.update(
      member for member in self._members[self._group[part]] if self._found[member].score < weakest
    )
    self._unite(whole, part)

  def _is_in_front(self, part: int, whole: int) -> bool:
    """Whether the tile of a detection shows it and the object over each other."""
    runs, tile = self._found[part].runs, self._found[part].tile
    members = [self._found[member] for member in self._members[self._group[whole]]]
    same = [member.runs for member in members if member.tile == tile]
    shared = sum(mask_runs.shared_area(runs, other) for other in same)
    return shared >= MIN_SHARE * runs.area

  def _score(self, index: int) -> float:
    return max(self._found[member].score for member in self._members[self._group[index]])

  def _unite(self, first: int, second: int) -> None:
    kept, gone = self._group[first], self._group[second]
    if kept == gone:
      return
    for member in self._members[gone]:
      self._group[member] = kept
    self._members[kept] += self._members.pop(gone)

  def _object(self, members: Sequence[int]) -> Found:
    parts = [self._found[member] for member in members if member not in self._without_mask]
    best = max((self._found[each] for each in sorted(members)), key=lambda each: each.score)
    boxes = np.stack([part.box for part in parts])
    box = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
    return best._replace(box=box, runs=mask_runs.united([part.runs for part in parts]))
