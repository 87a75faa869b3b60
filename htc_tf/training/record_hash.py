"""A hash of the training data that reads a few bytes of each record."""

import dataclasses
import glob
import hashlib
import os
import struct
from collections.abc import Sequence

# A record of a TFRecord file: length, CRC of the length, the bytes, CRC of the bytes.
_HEADER = struct.Struct('<QI')
_FOOTER_BYTES = 4


@dataclasses.dataclass(frozen=True)
class DataHash:
  """What identifies the records of one input pipeline.

  Attributes:
    num_files: files they lie in.
    num_records: records.
    num_bytes: size of the files.
    sha256: over length and CRC-32C of every record, files ordered by path. Other data, another
      order and another number of records give another hash; where the files lie does not matter.
  """

  num_files: int
  num_records: int
  num_bytes: int
  sha256: str


def hash_records(input_path: str | Sequence[str]) -> DataHash:
  """The hash of the files an input path names; a file that ends within a record is hashed so far.

  The CRC of each record is taken from the file: whether the bytes agree with it is found when they
  are read for training.

  Args:
    input_path: path or pattern of local files, or several separated by commas or in a list.
  """
  patterns = input_path.split(',') if isinstance(input_path, str) else input_path
  paths = sorted({path for pattern in patterns for path in glob.glob(pattern.strip())})
  digest = hashlib.sha256()
  num_records = sum(_add_file(path, digest) for path in paths)
  return DataHash(len(paths), num_records, sum(map(os.path.getsize, paths)), digest.hexdigest())


def _add_file(path: str, digest) -> int:
  """Adds a file to the digest; its number of records."""
  digest.update(b'file')
  size, position, num_records = os.path.getsize(path), 0, 0
  with open(path, 'rb', buffering=0) as file:
    while position < size:
      file.seek(position)
      header = file.read(_HEADER.size)
      digest.update(header)
      length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
      position += _HEADER.size + length + _FOOTER_BYTES
      if position <= size:
        file.seek(position - _FOOTER_BYTES)
        digest.update(file.read(_FOOTER_BYTES))
        num_records += 1
  return num_records
