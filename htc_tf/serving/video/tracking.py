"""Identities of objects from frame to frame, by the overlap of their masks or boxes."""

import dataclasses
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from htc_tf.serving.instances import Instances

MIN_IOU = 0.3
MAX_MISSED = 10


@dataclasses.dataclass
class _Track:
  """An object that was seen lately.

  Attributes:
    id: its number.
    label: its class.
    region: its last mask as run lengths, or its last box [xmin, ymin, width, height].
    num_missed: number of frames since then.
  """

  id: int
  label: int
  region: Any
  num_missed: int = 0


class Tracker:
  """Numbers for the objects of a video, which is given frame by frame.

  An object of a frame continues a track of its class if their IoU is at least `min_iou`, that of
  masks if there are masks, else that of boxes; a track is where its object was last seen. Pairs are
  made greedily, the largest IoU first; of equal ones, the older track and the better score. The
  other objects begin tracks, numbered from 1 in the order of their scores. A track ends after
  `max_missed` frames in a row without a match, and its number is not used again.

  Args:
    min_iou: smallest IoU of a match.
    max_missed: number of frames without a match after which a track ends.
  """

  def __init__(self, min_iou: float = MIN_IOU, max_missed: int = MAX_MISSED):
    self._min_iou, self._max_missed = min_iou, max_missed
    self._tracks: list[_Track] = []
    self.num_tracks = 0

  def update(self, instances: Instances) -> list[int]:
    """The numbers of the objects of the next frame, in their order."""
    regions = _regions(instances)
    labels = [int(label) for label in instances.classes]
    matched = self._matched(regions, labels)
    for track in self._tracks:
      track.num_missed += 1
    ids = []
    for row, (region, label) in enumerate(zip(regions, labels)):
      track = matched.get(row) or self._begin(label)
      track.region, track.num_missed = region, 0
      ids.append(track.id)
    self._tracks = [track for track in self._tracks if track.num_missed < self._max_missed]
    return ids

  def _begin(self, label: int) -> _Track:
    self.num_tracks += 1
    self._tracks.append(_Track(self.num_tracks, label, None))
    return self._tracks[-1]

  def _matched(self, regions: list[Any], labels: list[int]) -> dict[int, _Track]:
    """The track that each object continues, by the position of the object."""
    if not regions or not self._tracks:
      return {}
    ious = _ious([track.region for track in self._tracks], regions)  # [num_tracks, num_objects]
    same = np.array([track.label for track in self._tracks])[:, np.newaxis] == np.array(labels)
    rows, columns = np.nonzero(same & (ious >= self._min_iou))
    order = np.argsort(-ious[rows, columns], kind='stable')
    found: dict[int, _Track] = {}
    taken: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist()):
      if row not in taken and column not in found:
        found[column] = self._tracks[row]
        taken.add(row)
    return found


def _regions(instances: Instances) -> list[Any]:
  """What the IoU is computed of: masks as run lengths, or boxes as x, y, width and height."""
  if instances.rles is not None:
    return list(instances.rles)
  boxes = np.asarray(instances.boxes, np.float64).reshape(-1, 4)
  return list(np.concatenate([boxes[:, [1, 0]], (boxes[:, 2:] - boxes[:, :2])[:, ::-1]], axis=1))


def _ious(first: list[Any], second: list[Any]) -> np.ndarray:
  """[num_first, num_second] IoU; 0 for empty regions."""
  pair: Any = (first, second)
  if not isinstance(first[0], dict):
    pair = np.stack(first), np.stack(second)
  return np.nan_to_num(np.asarray(mask_utils.iou(*pair, [0] * len(second))))
