"""A hash of the records of a pipeline, computed from a few bytes of each record."""

import dataclasses
import hashlib
import struct
from collections.abc import Sequence
from concurrent import futures

from htc_tf import file_systems

# A record in a TFRecord file: length, CRC of the length, bytes, CRC of the bytes.
_HEADER = struct.Struct('<QI')
_FOOTER_BYTES = 4
_NUM_THREADS = 8


@dataclasses.dataclass(frozen=True)
class DataHash:
  """The identity of the records of one input pipeline.

  Attributes:
    num_files: number of files.
    num_records: number of records in all files.
    num_bytes: total size of the files.
    sha256: hash over the length and CRC-32C of every record, with the files ordered by path. It
      changes with the data, order and number of the records, but not with the folder of the files.
  """

  num_files: int
  num_records: int
  num_bytes: int
  sha256: str


def hash_records(input_path: str | Sequence[str]) -> DataHash:
  """The hash of the files of an input path; a truncated file is hashed up to its end.

  The CRC of each record is taken from the file; only training compares it with the record.

  Args:
    input_path: path or pattern of files, or several, separated by commas or in a list.
  """
  patterns = input_path.split(',') if isinstance(input_path, str) else input_path
  paths = sorted({path for pattern in patterns for path in file_systems.glob(pattern.strip())})
  # A remote file system answers each request slowly, but many at once.
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    found = list(pool.map(_read_marks, paths))
  digest = hashlib.sha256(b''.join(marks for marks, _, _ in found))
  num_records = sum(count for _, count, _ in found)
  return DataHash(len(paths), num_records, sum(size for *_, size in found), digest.hexdigest())


def _read_marks(path: str) -> tuple[bytes, int, int]:
  """Lengths and CRCs of a file's records, the number of records, and the size of the file."""
  marks = bytearray(b'file')
  size, position, num_records = file_systems.size(path), 0, 0
  with file_systems.open_file(path, 'rb') as file:
    while position < size:
      file.seek(position)
      header = file.read(_HEADER.size)
      marks += header
      length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
      position += _HEADER.size + length + _FOOTER_BYTES
      if position <= size:
        file.seek(position - _FOOTER_BYTES)
        marks += file.read(_FOOTER_BYTES)
        num_records += 1
  return bytes(marks), num_records, size
