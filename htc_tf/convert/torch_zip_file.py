"""Reads the zip files torch.save writes: a pickle, and an uncompressed entry for each storage."""

import io
import itertools
import re
import struct
import zipfile
import zlib
from typing import Any

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import ElementType, Storage
from htc_tf.convert.torch_globals import TypedStorage
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

SIGNATURE = b'PK\x03\x04'

_DIRECTORY_SIGNATURE = b'PK\x01\x02'
_MAX_ENTRIES = 100_000
_LOCAL_HEADER = struct.Struct('<4s22xHH')  # signature, lengths of the name and the extra field
_ENCRYPTED = 0x1
_COMPRESSED = 'torch.save compresses nothing: the file was packed again by another program'


def read_torch_zip(data: bytes) -> Any:
  """The object a zip file of torch.save holds, its tensors as `StoredArray`.

  Args:
    data: the whole file.

  Raises:
    UnreadableError: the file is damaged, compressed, or asks for anything that is no tensor.
  """
  archive = _Archive(data)
  pickled = archive.read('data.pkl')
  return PickleReader(pickled, archive.storage, len(data)).read()


class _Archive:
  """The entries of a torch zip file, as views of its bytes.

  Args:
    data: the whole file.
  """

  def __init__(self, data: bytes):
    self._data = memoryview(data)
    self._entries = _directory(data)
    pickles = [name for name in self._entries if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise UnreadableError(f'it is a zip file with {len(pickles)} entries data.pkl instead of one')
    self._prefix = pickles[0][: -len('data.pkl')]
    self._byte_order = _byte_order(self)
    self._storages: dict[str, TypedStorage] = {}

  def __contains__(self, name: str) -> bool:
    return self._prefix + name in self._entries

  def read(self, name: str) -> memoryview:
    """The bytes of an entry, checked against its checksum."""
    entry = self._entries.get(self._prefix + name)
    if entry is None:
      raise UnreadableError(f'it has no entry {name!a}')
    if entry.flag_bits & _ENCRYPTED or entry.compress_type != zipfile.ZIP_STORED:
      raise UnreadableError(f'its entry {name!a} is compressed or encrypted', _COMPRESSED)
    contents = self._contents(entry)
    if zlib.crc32(contents) != entry.CRC:
      raise UnreadableError(f'the checksum of its entry {name!a} is wrong')
    return contents

  def storage(self, identity: Any) -> TypedStorage:
    """What a persistent id ('storage', type, key, device, number of elements) stands for."""
    element, key, num_elements = storage_identity(identity)
    if key not in self._storages:
      contents = self.read(f'data/{key}')
      if len(contents) != num_elements * element.dtype.itemsize:
        raise UnreadableError(
          f'storage {key!a} claims {num_elements} numbers and has {len(contents)} bytes'
        )
      storage = Storage(len(contents), contents)
      self._storages[key] = TypedStorage(storage, element, self._byte_order)
    return self._storages[key]

  def _contents(self, entry: zipfile.ZipInfo) -> memoryview:
    header = self._data[entry.header_offset : entry.header_offset + _LOCAL_HEADER.size]
    if entry.header_offset < 0 or len(header) < _LOCAL_HEADER.size:
      raise UnreadableError('an entry of it begins outside the file')
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    begin = entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    end = begin + entry.file_size
    if signature != SIGNATURE or entry.compress_size != entry.file_size or end > len(self._data):
      raise UnreadableError('an entry of it is not where its directory says')
    return self._data[begin:end]


def storage_identity(identity: Any) -> tuple[ElementType, str, int]:
  """(element type, key, number of elements) of a persistent id, checked; the device is ignored."""
  if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != 'storage':
    raise UnreadableError('it stores an object that is no tensor', NOT_WEIGHTS)
  _, element, key, _, num_elements = identity[:5]
  if len(identity) == 6 and identity[5] is not None:
    raise UnreadableError(
      'it stores views of storages, as torch before 0.4 did',
      'a file of an old torch: load it with torch and save its state_dict',
    )
  if (
    not isinstance(element, ElementType)
    or not isinstance(key, str)
    or type(num_elements) is not int
    or num_elements < 0
  ):
    raise UnreadableError('a storage in it has no type, key or size')
  return element, key, num_elements


def _directory(data: bytes) -> dict[str, zipfile.ZipInfo]:
  """Entries by name; refuses doubled names, names that leave the archive, and too many."""
  signatures = re.finditer(re.escape(_DIRECTORY_SIGNATURE), data)
  if sum(1 for _ in itertools.islice(signatures, _MAX_ENTRIES + 1)) > _MAX_ENTRIES:
    raise UnreadableError(f'it is a zip file of more than {_MAX_ENTRIES} entries', NOT_WEIGHTS)
  entries: dict[str, zipfile.ZipInfo] = {}
  for entry in _entries(data):
    parts = entry.filename.replace('\\', '/').split('/')
    if entry.filename in entries or '..' in parts or not parts[0]:
      name = ascii(entry.filename[:99])
      raise UnreadableError(f'its entry {name} is doubled or leaves the archive', NOT_WEIGHTS)
    entries[entry.filename] = entry
  return entries


def _entries(data: bytes) -> list[zipfile.ZipInfo]:
  try:
    with zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data) as archive:
      return archive.infolist()
  except (
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    OverflowError,
    OSError,
    struct.error,
  ) as error:
    raise UnreadableError(f'its zip directory cannot be read ({error})') from error


def _byte_order(archive: _Archive) -> str:
  if 'byteorder' not in archive:
    return '<'
  order = bytes(archive.read('byteorder'))
  if order not in (b'little', b'big'):
    raise UnreadableError('its byte order is neither little nor big')
  return '<' if order == b'little' else '>'
