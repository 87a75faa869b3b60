"""Reading of a results file, the detections of any model, to evaluate them against annotations.

pycocotools trusts such a file: it reads memory that it does not own for damaged run lengths, and
stops at the first unknown image. Here, detections are checked, and what is left out is counted.
"""

import collections
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pycocotools import coco

from htc_tf import file_systems, files
from htc_tf.data import json_values
from htc_tf.data import segmentation as segmentations
from htc_tf.errors import DataError

_Entry = dict[str, Any]
_FORM = 'a list of {"image_id", "category_id", "score", "bbox" and/or "segmentation"}'
# Checks that drop a detection, and their description.
_DROPPED = {
  'no_object': 'entries that are no objects',
  'image_id': 'detections in images that the annotations do not have',
  'category_id': 'detections of categories that the annotations do not have',
  'score': 'detections without a finite score',
  'bbox': 'detections without a box of four finite numbers',
  'segmentation': 'detections with a mask that does not fit its image',
}


class Results(NamedTuple):
  """Checked detections.

  Attributes:
    entries: COCO results with `image_id`, `category_id`, `score`, `bbox` and, with masks,
      `segmentation` as compressed run lengths; all ids are those of the annotations.
    has_masks: whether all entries have masks.
    findings: descriptions of what was left out or changed, with counts.
  """

  entries: list[_Entry]
  has_masks: bool
  findings: list[str]


class ResultsFile(NamedTuple):
  """A results file as it is stored.

  Attributes:
    path: path of the file.
    entries: its entries, of any type.
    has_masks: whether the entries have masks.
  """

  path: files.PathLike
  entries: list[Any]
  has_masks: bool


def load(path: files.PathLike) -> ResultsFile:
  """The entries of a results file.

  Args:
    path: path of the JSON file, a list in COCO's results format.

  Raises:
    DataError: the file cannot be read or has another format, or only some entries have a mask.
  """
  entries = _read_list(path)
  return ResultsFile(path, entries, _has_masks(entries, path))


def check_entries(loaded: ResultsFile, ground_truth: coco.COCO) -> Results:
  """The detections of a results file, in its order.

  Args:
    loaded: content of the file.
    ground_truth: annotations that the detections are evaluated against; images without a size get
      that of their detected masks.

  Raises:
    DataError: no detection can be used.
  """
  reader = _Reader(ground_truth, loaded.has_masks)
  read = [result for entry in loaded.entries if (result := reader.read(entry)) is not None]
  if loaded.entries and not read:
    raise DataError(
      f'No detection in {loaded.path} can be used',
      expected=f'{_FORM} for the images and categories of the annotations',
      got='; '.join(reader.findings()),
      likely_cause='the detections of another data set, or ids that were numbered anew: '
      'htc-predict --annotations takes the ids of the annotations',
    )
  return Results(read, reader.has_masks, reader.findings())


def _read_list(path: files.PathLike) -> list[Any]:
  """The list in a JSON file."""
  try:
    content = json.loads(file_systems.read_bytes(path))
  except OSError as error:
    raise DataError(
      f'The results {path} cannot be read',
      expected="a file in COCO's results format",
      got=error.strerror or str(error),
      likely_cause='a wrong path, or missing permission',
    ) from error
  except (ValueError, RecursionError) as error:
    raise DataError(
      f'The results {path} are not JSON',
      expected=_FORM,
      got=str(error),
      likely_cause='an incomplete copy, or the path of another file',
    ) from error
  if not isinstance(content, list):
    keys = f' with {", ".join(sorted(content)[:5])}' if isinstance(content, dict) else ''
    raise DataError(
      f'{path} holds no detections',
      expected=_FORM,
      got=f'a {type(content).__name__}{keys}',
      likely_cause='the annotations in the place of the results',
    )
  return content


def _has_masks(entries: Sequence[Any], path: files.PathLike) -> bool:
  """Whether the detections have masks; raises DataError if only some have."""
  objects = [entry for entry in entries if isinstance(entry, dict)]
  num_masks = sum('segmentation' in entry for entry in objects)
  if 0 < num_masks < len(objects):
    raise DataError(
      f'Only some detections in {path} have a mask',
      expected='"segmentation" in all entries or in none',
      got=f'it in {num_masks} of {len(objects)}',
      likely_cause='two files of results that were joined',
    )
  return num_masks > 0


class _Reader:
  """A reader of single entries that counts what it finds.

  Args:
    ground_truth: the annotations.
    has_masks: whether the entries have masks.
  """

  def __init__(self, ground_truth: coco.COCO, has_masks: bool):
    self.has_masks = has_masks
    self._images = ground_truth.imgs
    self._image_ids, self._category_ids = (
      _ids_in_file(entries) for entries in (ground_truth.imgs, ground_truth.cats)
    )
    self._dropped: collections.Counter[str] = collections.Counter()
    self._examples: dict[str, str] = {}
    self._num_boxes_from_masks = 0

  def read(self, entry: Any) -> _Entry | None:
    """A detection, or None if it cannot be used, which is counted."""
    if not isinstance(entry, dict):
      self._drop('no_object', entry)
      return None
    result = self._result(entry)
    unusable = [key for key, value in result.items() if value is None]
    if unusable:
      self._drop(unusable[0], entry.get(unusable[0]))
      return None
    return result

  def findings(self) -> list[str]:
    """Descriptions of what was found, with counts."""
    found = [
      f'{count} {_DROPPED[check]} are left out, such as {self._examples[check]}'
      for check, count in self._dropped.items()
    ]
    if self._num_boxes_from_masks:
      found.append(
        f'{self._num_boxes_from_masks} detections have no box; boxes around their masks are used'
      )
    return found

  def _drop(self, check: str, example: Any) -> None:
    self._dropped[check] += 1
    self._examples.setdefault(check, repr(example)[:60])

  def _result(self, entry: _Entry) -> _Entry:
    """The entry as a COCO result; fields that cannot be read are None."""
    image = self._images.get(_found(self._image_ids, entry.get('image_id')))
    result: _Entry = {
      'image_id': image and image['id'],
      'category_id': _found(self._category_ids, entry.get('category_id')),
      'score': json_values.number(entry.get('score')),
    }
    mask = None
    if self.has_masks and image:
      result['segmentation'] = mask = _mask(entry['segmentation'], image)
    if mask and not entry.get('bbox'):
      self._num_boxes_from_masks += 1
      return {**result, 'bbox': segmentations.bounds(mask)}
    return {**result, 'bbox': _box(entry.get('bbox'))}


def _ids_in_file(entries: Mapping[int, _Entry]) -> dict[Any, int]:
  """The id of each image or category by the id that the annotation file has for it."""
  return {entry.get('original_id', id_): id_ for id_, entry in entries.items()}


def _found(ids: Mapping[Any, int], written: Any) -> int | None:
  """The id that is meant; numbers may be written as text or as whole floats."""
  if isinstance(written, (str, int)) and not isinstance(written, bool) and written in ids:
    return ids[written]
  number = json_values.integer(written)
  return None if number is None else ids.get(number)


def _box(box: Any) -> list[float] | None:
  """Four finite numbers, or None."""
  if not isinstance(box, list) or len(box) != 4:
    return None
  numbers = [json_values.number(value) for value in box]
  read = [float(value) for value in numbers if value is not None]
  return read if len(read) == 4 else None


def _mask(segmentation: Any, image: _Entry) -> _Entry | None:
  """The compressed run lengths of a mask with text as counts; None if it cannot be used."""
  segmentation, _ = segmentations.normalize(segmentation)
  if image.get('size_unknown') and _has_size(segmentation):
    image['height'], image['width'] = segmentation['size']
  height, width = image['height'], image['width']
  cleaned, _ = segmentations.clean(segmentation, height, width, keep_flat=True)
  if cleaned is None:
    return None
  encoded = segmentations.to_rle(cleaned, height, width)
  counts = encoded['counts']
  return {**encoded, 'counts': counts.decode('ascii') if isinstance(counts, bytes) else counts}


def _has_size(segmentation: Any) -> bool:
  """Whether a segmentation states the size of its image."""
  size = segmentation.get('size') if isinstance(segmentation, dict) else None
  return isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)
