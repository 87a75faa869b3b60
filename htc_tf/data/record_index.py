"""Where each record of TFRecord files lies, so that records can be read in any order.

A record is its length in 8 bytes, a checksum of the length in 4 bytes, the data, and a checksum of
the data in 4 bytes. Only the lengths are read here; reading a record checks both checksums.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from htc_tf import file_systems
from htc_tf.data import skipped
from htc_tf.data.skipped import SkipCounter

# Number of bytes of a length and its checksum, and of these and the checksum of the data.
_HEADER, _OVERHEAD = 12, 16


class RecordIndex(NamedTuple):
  """Places of the records of several files.

  Attributes:
    paths: paths of the files, sorted.
    files: [num_records] int32 position in `paths` of the file of each record.
    offsets: [num_records] int64 first byte of each record in its file.
  """

  paths: tuple[str, ...]
  files: np.ndarray
  offsets: np.ndarray

  @property
  def num_records(self) -> int:
    """Number of records in all files."""
    return len(self.offsets)


def index_records(paths: Sequence[str], counter: SkipCounter) -> RecordIndex:
  """The places of all records, found from their lengths.

  A file that cannot be opened is counted as skipped; so is the rest of a file after a length that
  does not fit into it, as of a truncated file.

  Args:
    paths: paths of uncompressed TFRecord files.
    counter: counter of skipped files.

  Raises:
    DataError: there is no record.
  """
  ordered = tuple(sorted(paths))
  found = [np.array(list(_offsets(path, counter)), np.int64) for path in ordered]
  files = np.repeat(np.arange(len(ordered), dtype=np.int32), [len(offsets) for offsets in found])
  if not files.size:
    raise counter.unusable(f'no record in {len(ordered)} files')
  return RecordIndex(ordered, files, np.concatenate(found))


def _offsets(path: str, counter: SkipCounter) -> Iterator[int]:
  """The first byte of each record of a file."""
  try:
    size = file_systems.size(path)
    with file_systems.open_file(path, 'rb') as file:
      offset = 0
      while offset < size:
        file.seek(offset)
        header = file.read(_HEADER)
        length = struct.unpack('<Q', header[:8])[0] if len(header) == _HEADER else size
        if length > size - offset - _OVERHEAD:
          reason = f'truncated or damaged after {offset} of {size} bytes'
          counter.add(skipped.SHARDS, path, lambda: reason)  # noqa: B023
          return
        yield offset
        offset += length + _OVERHEAD
  except OSError as error:
    message = error.strerror or str(error)
    counter.add(skipped.SHARDS, path, lambda: f'cannot be opened ({message})')
