"""COCO run-length encodings of masks.

A mask is encoded column by column: `counts` holds the lengths of runs of zeros and of ones in turn.
"""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.errors import DataError


def encode(mask: np.ndarray) -> dict[str, Any]:
  """The encoding of a mask, `{'size': [height, width], 'counts': str}`, which JSON can hold.

  Args:
    mask: [height, width] bool, or numbers; all numbers except 0 count as 1.
  """
  encoded = coco_mask.encode(np.asfortranarray(mask, dtype=bool).view(np.uint8))
  return {'size': list(mask.shape), 'counts': encoded['counts'].decode('ascii')}


def encode_map(numbers: np.ndarray) -> dict[int, dict[str, Any]]:
  """The encoding, as by `encode`, of each number but 0 in a map, in ascending order.

  All are found in one pass, so that maps of thousands of objects take no longer.

  Args:
    numbers: [height, width] of any integer type.
  """
  flat = numbers.T.ravel()  # Column by column.
  changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
  starts, ends = np.concatenate([[0], changes]), np.concatenate([changes, [flat.size]])
  values = flat[starts]
  order = np.argsort(values, kind='stable')
  order = order[values[order] != 0]
  found, firsts = np.unique(values[order], return_index=True)
  parts = np.split(order, firsts[1:])
  return {
    value: encode_runs(starts[part], ends[part], numbers.shape)
    for value, part in zip(found.tolist(), parts)
  }


def encode_runs(starts: np.ndarray, ends: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
  """The encoding of a mask by the runs of its pixels, column by column.

  Args:
    starts: [num] position of the first pixel of each run, in ascending order.
    ends: [num] position behind the last pixel of each run; runs do not touch.
    shape: height and width of the image.
  """
  limits = np.stack([starts, ends], 1).ravel()
  size = shape[0] * shape[1]
  limits = limits if len(limits) and limits[-1] == size else np.append(limits, size)
  runs = {'size': list(shape), 'counts': np.diff(limits, prepend=0).tolist()}
  encoded = coco_mask.frPyObjects(runs, *shape)
  return {'size': list(shape), 'counts': encoded['counts'].decode('ascii')}


def decode(encoded: dict[str, Any]) -> np.ndarray:
  """The mask of a compressed encoding, [height, width] bool.

  The decoder of pycocotools gives a warning under NumPy 2 and is therefore not used.

  Args:
    encoded: dictionary of `size` and `counts`; the counts are text or bytes.

  Raises:
    DataError: the counts cannot be read.
  """
  height, width = encoded['size']
  runs = run_lengths(encoded['counts'])
  values = np.repeat(np.arange(len(runs), dtype=np.uint8) & 1, runs).astype(bool)
  return np.ascontiguousarray(values.reshape(width, height).T)  # [height, width]


def run_lengths(counts: str | bytes) -> list[int]:
  """The run lengths in a compressed COCO string.

  The code of a character minus that of '0' has six bits: five bits of a value, and one bit that is
  set if the value continues in the next character. The first character of a value holds its least
  significant bits. From the fourth run on, the value is the difference from the run two places
  before.

  Args:
    counts: compressed string or bytes.

  Raises:
    DataError: a character is out of range, or the string ends inside a value.
  """
  runs: list[int] = []
  value, shift = 0, 0
  for character in map(ord, counts) if isinstance(counts, str) else counts:
    bits = character - 48
    if not 0 <= bits < 64:
      raise DataError(
        'A run length cannot be read', expected='characters from 0 to o', got=repr(chr(character))
      )
    value |= (bits & 31) << shift
    shift += 5
    if bits & 32:
      continue
    if bits & 16:
      value -= 1 << shift
    runs.append(value + runs[-2] if len(runs) > 2 else value)
    value, shift = 0, 0
  if shift:
    raise DataError('A run length ends inside a value')
  return runs
