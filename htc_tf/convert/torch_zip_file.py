"""Reader of the zip files that torch.save writes.

A zip file holds a pickle, and an uncompressed entry for each storage.
"""

import io
import itertools
import re
import struct
import zipfile
import zlib
from typing import Any

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import ByteOrder, ElementType, FileData, Storage
from htc_tf.convert.torch_globals import TypedStorage
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

SIGNATURE = b'PK\x03\x04'

_DIRECTORY_SIGNATURE = b'PK\x01\x02'
_MAX_ENTRIES = 100_000
_LOCAL_HEADER = struct.Struct('<4s22xHH')  # signature, lengths of the name and the extra field
_ENCRYPTED = 0x1
_COMPRESSED = (
  'another program packed the file again, since torch.save neither compresses nor encrypts'
)


def read_torch_zip(data: FileData) -> Any:
  """The object that a zip file of torch.save holds, its tensors as `StoredArray`.

  Args:
    data: content of the file.

  Raises:
    UnreadableError: the file is damaged or compressed, or holds objects that weights do not need.
  """
  archive = _Archive(data)
  pickled = archive.read('data.pkl')
  return PickleReader(pickled, archive.find_storage, len(data)).read()


class _Archive:
  """The entries of a torch zip file, as views of its bytes.

  Args:
    data: content of the file.
  """

  def __init__(self, data: FileData):
    self._data = memoryview(data)
    self._entries = _directory(data)
    pickles = [name for name in self._entries if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise UnreadableError(f'the zip file has {len(pickles)} entries data.pkl instead of one')
    self._prefix = pickles[0][: -len('data.pkl')]
    self._byte_order = _byte_order(self)
    self._storages: dict[str, TypedStorage] = {}

  def __contains__(self, name: str) -> bool:
    return self._prefix + name in self._entries

  def read(self, name: str) -> memoryview:
    """The bytes of an entry, verified against its checksum."""
    entry = self._entries.get(self._prefix + name)
    if entry is None:
      raise UnreadableError(f'the zip file has no entry {name!a}')
    if entry.flag_bits & _ENCRYPTED or entry.compress_type != zipfile.ZIP_STORED:
      raise UnreadableError(f'entry {name!a} is compressed or encrypted', _COMPRESSED)
    contents = self._contents(entry)
    if zlib.crc32(contents) != entry.CRC:
      raise UnreadableError(f'the checksum of entry {name!a} is wrong')
    return contents

  def find_storage(self, identity: Any) -> TypedStorage:
    """The storage of a persistent id ('storage', type, key, device, number of elements)."""
    element, key, num_elements = storage_identity(identity)
    if key not in self._storages:
      contents = self.read(f'data/{key}')
      if len(contents) != num_elements * element.dtype.itemsize:
        raise UnreadableError(
          f'storage {key!a} states {num_elements} numbers but has {len(contents)} bytes'
        )
      storage = Storage(len(contents), contents)
      self._storages[key] = TypedStorage(storage, element, self._byte_order)
    return self._storages[key]

  def _contents(self, entry: zipfile.ZipInfo) -> memoryview:
    header = self._data[entry.header_offset : entry.header_offset + _LOCAL_HEADER.size]
    if entry.header_offset < 0 or len(header) < _LOCAL_HEADER.size:
      raise UnreadableError('an entry of the zip file begins outside the file')
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    begin = entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    end = begin + entry.file_size
    if signature != SIGNATURE or entry.compress_size != entry.file_size or end > len(self._data):
      raise UnreadableError('an entry is not at the position that the zip directory names')
    return self._data[begin:end]


def storage_identity(identity: Any) -> tuple[ElementType, str, int]:
  """(element type, key, number of elements) of a persistent id; the device is ignored.

  Raises:
    UnreadableError: the persistent id is not that of a storage.
  """
  if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != 'storage':
    raise UnreadableError('the file stores an object that is not a tensor', NOT_WEIGHTS)
  _, element, key, _, num_elements = identity[:5]
  if len(identity) == 6 and identity[5] is not None:
    raise UnreadableError(
      'the file stores views of storages, as torch before 0.4 did',
      'a file of an old torch: load it with torch and save its state_dict',
    )
  if (
    not isinstance(element, ElementType)
    or not isinstance(key, str)
    or type(num_elements) is not int
    or num_elements < 0
  ):
    raise UnreadableError('a storage has no type, key or size')
  return element, key, num_elements


def _directory(data: FileData) -> dict[str, zipfile.ZipInfo]:
  """Entries by name; duplicates, names that leave the archive, and too many entries are refused."""
  signatures = re.finditer(re.escape(_DIRECTORY_SIGNATURE), data)
  if sum(1 for _ in itertools.islice(signatures, _MAX_ENTRIES + 1)) > _MAX_ENTRIES:
    raise UnreadableError(f'the zip file has more than {_MAX_ENTRIES} entries', NOT_WEIGHTS)
  entries: dict[str, zipfile.ZipInfo] = {}
  for entry in _entries(data):
    parts = entry.filename.replace('\\', '/').split('/')
    if entry.filename in entries or '..' in parts or not parts[0]:
      name = ascii(entry.filename[:99])
      raise UnreadableError(f'entry {name} is a duplicate or leaves the archive', NOT_WEIGHTS)
    entries[entry.filename] = entry
  return entries


def _entries(data: FileData) -> list[zipfile.ZipInfo]:
  stream = io.BytesIO(data) if isinstance(data, bytes) else data
  try:
    # typeshed does not declare mmap as IO, although it has the methods that ZipFile uses.
    with zipfile.ZipFile(stream) as archive:  # type: ignore[arg-type]
      return archive.infolist()
  except (
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    OverflowError,
    OSError,
    struct.error,
  ) as error:
    raise UnreadableError(f'the zip directory cannot be read ({error})') from error


def _byte_order(archive: _Archive) -> ByteOrder:
  if 'byteorder' not in archive:
    return '<'
  order = bytes(archive.read('byteorder'))
  if order not in (b'little', b'big'):
    raise UnreadableError('the byte order of the file is neither little nor big')
  return '<' if order == b'little' else '>'
