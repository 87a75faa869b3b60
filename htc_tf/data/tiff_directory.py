"""Directories of TIFF files on disk, of which only the entries that are asked for are read."""

import os
import struct
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np

from htc_tf.data import tiff_tags
from htc_tf.data.rgb_pixels import UnreadableImageError

# Bytes of a value by its type.
_SIZES = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
  13: 4,
  16: 8,
  17: 8,
  18: 8,  # of BigTIFF
}
_INTEGERS = {1: 'u1', 3: 'u2', 4: 'u4', 13: 'u4', 16: 'u8'}
_CLASSIC, _BIG = 42, 43


class Entry(NamedTuple):
  """An entry of a directory.

  Attributes:
    kind: number of the type of its values.
    length: number of the values.
    raw: the values as they are stored, in the order of bytes of the file.
  """

  kind: int
  length: int
  raw: bytes


Directory: TypeAlias = Mapping[int, Entry]


class _Layout(NamedTuple):
  """Form of the directories of a file.

  Attributes:
    order: order of bytes, in the notation of `struct`.
    number: type of the number of entries.
    place: type of positions in the file.
    first: position of the place of the first directory.
  """

  order: str
  number: str
  place: str
  first: int


def byte_order(stream: BinaryIO) -> str | None:
  """Order of bytes of a TIFF file, '<' or '>'; None if it is another file."""
  layout = _layout(stream)
  return layout and layout.order


def read(stream: BinaryIO, wanted: Collection[int], limit: int) -> Iterator[Directory]:
  """The directory of each page; none if the file is no TIFF file.

  Args:
    stream: the open file.
    wanted: numbers of the entries that are read.
    limit: number of pages after which no more are read.

  Raises:
    UnreadableImageError: the file is damaged.
  """
  layout = _layout(stream)
  if layout is None:
    return
  length = os.fstat(stream.fileno()).st_size
  try:
    stream.seek(layout.first)
    position = _number(stream, layout, layout.place)
    for _ in range(limit):
      if not position:
        return
      stream.seek(position)
      entries = _entries(stream, layout, length)
      position = _number(stream, layout, layout.place)
      yield {
        tag: Entry(kind, count, _values(stream, layout, kind, count, place, length))
        for tag, (kind, count, place) in entries.items()
        if tag in wanted
      }
  except struct.error as error:
    raise _damaged('a directory that ends before its time') from error


def numbers(entry: Entry, order: str) -> np.ndarray:
  """The values of an entry of integers, [length] int64.

  Args:
    entry: the entry.
    order: order of bytes of the file, '<' or '>'.

  Raises:
    UnreadableImageError: the values are no integers.
  """
  if entry.kind not in _INTEGERS:
    raise _damaged(f'values of type {entry.kind} where integers are expected')
  return np.frombuffer(entry.raw, order + _INTEGERS[entry.kind]).astype(np.int64)


def _layout(stream: BinaryIO) -> _Layout | None:
  stream.seek(0)
  head = stream.read(8)
  order = tiff_tags.BYTE_ORDERS.get(head[:2])
  if order is None or len(head) < 8:
    return None
  version = struct.unpack(f'{order}H', head[2:4])[0]
  if version == _CLASSIC:
    return _Layout(order, 'H', 'L', 4)
  return _Layout(order, 'Q', 'Q', 8) if version == _BIG else None


def _number(stream: BinaryIO, layout: _Layout, kind: str) -> int:
  form = layout.order + kind
  return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])


def _entries(stream: BinaryIO, layout: _Layout, length: int) -> dict[int, tuple[int, int, bytes]]:
  """Type, number of values and place of each entry of the directory at this position."""
  form = f'{layout.order}HH{layout.place}{struct.calcsize(layout.order + layout.place)}s'
  size = struct.calcsize(form)
  count = _number(stream, layout, layout.number)
  if count * size > length:
    raise _damaged(f'a directory of {count} entries')
  found = struct.iter_unpack(form, _exactly(stream, count * size))
  return {tag: (kind, number, place) for tag, kind, number, place in found}


def _values(
  stream: BinaryIO, layout: _Layout, kind: int, count: int, place: bytes, length: int
) -> bytes:
  """The bytes of the values of an entry, which are in `place` if they are few."""
  size = _SIZES.get(kind, 1) * count
  if size <= len(place):
    return place[:size]
  if size > length:
    raise _damaged(f'an entry of {size} bytes')
  stream.seek(struct.unpack(layout.order + layout.place, place)[0])
  return _exactly(stream, size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
  content = stream.read(size)
  if len(content) < size:
    raise _damaged('a directory or an entry that ends before its time')
  return content


def _damaged(what: str) -> UnreadableImageError:
  return UnreadableImageError(
    'The TIFF file is damaged', got=what, likely_cause='an interrupted copy'
  )
