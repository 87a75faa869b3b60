"""A hash of the records of a pipeline, computed from a few bytes of each record."""

import dataclasses
import glob
import hashlib
import os
import struct
from collections.abc import Callable, Sequence

# A record in a TFRecord file: length, CRC of the length, bytes, CRC of the bytes.
_HEADER = struct.Struct('<QI')
_FOOTER_BYTES = 4


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
    input_path: path or pattern of local files, or several, separated by commas or in a list.
  """
  patterns = input_path.split(',') if isinstance(input_path, str) else input_path
  paths = sorted({path for pattern in patterns for path in glob.glob(pattern.strip())})
  digest = hashlib.sha256()
  num_records = sum(_hash_file(path, digest.update) for path in paths)
  return DataHash(len(paths), num_records, sum(map(os.path.getsize, paths)), digest.hexdigest())


def _hash_file(path: str, update: Callable[[bytes], object]) -> int:
  """Pass lengths and CRCs of a file's records to `update`, and return the number of records."""
  update(b'file')
  size, position, num_records = os.path.getsize(path), 0, 0
  with open(path, 'rb', buffering=0) as file:
    while position < size:
      file.seek(position)
      header = file.read(_HEADER.size)
      update(header)
      length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
      position += _HEADER.size + length + _FOOTER_BYTES
      if position <= size:
        file.seek(position - _FOOTER_BYTES)
        update(file.read(_FOOTER_BYTES))
        num_records += 1
  return num_records
