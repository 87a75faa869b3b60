"""Reader of the stream that torch.save wrote before version 1.6.

The stream consists of five pickles, followed by the bytes of each storage.
"""

import struct
from typing import Any

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import FileData, Storage
from htc_tf.convert.torch_globals import TypedStorage
from htc_tf.convert.torch_zip_file import storage_identity
from htc_tf.convert.unreadable import UnreadableError

# The first pickle of the stream: protocol 2, an integer of ten bytes, the end of the pickle.
SIGNATURE = b'\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.'

_PROTOCOL = 1001
_NUM_ELEMENTS = struct.Struct('<q')


def read_torch_legacy(data: FileData) -> Any:
  """The object that a legacy stream of torch.save holds, its tensors as `StoredArray`.

  Args:
    data: content of the file.

  Raises:
    UnreadableError: the file is damaged, or holds objects that weights do not need.
  """
  storages = _Storages()
  reader = PickleReader(memoryview(data), storages.find, len(data))
  reader.read()  # the signature
  protocol = reader.read()
  if protocol != _PROTOCOL:
    raise UnreadableError(f'the protocol of the stream is not {_PROTOCOL}')
  reader.read()  # Sizes of C types on the writing machine; nothing below depends on them.
  stored = reader.read()
  storages.fill(reader.read(), reader)
  return stored


class _Storages:
  """Storages by key; the pickle refers to the storages, and their bytes follow the pickle."""

  def __init__(self) -> None:
    self._by_key: dict[str, TypedStorage] = {}

  def find(self, identity: Any) -> TypedStorage:
    """The storage of a persistent id ('storage', type, key, device, number of elements, None)."""
    element, key, num_elements = storage_identity(identity)
    if key not in self._by_key:
      storage = Storage(num_elements * element.dtype.itemsize)
      self._by_key[key] = TypedStorage(storage, element)
    return self._by_key[key]

  def fill(self, keys: Any, reader: PickleReader) -> None:
    """Read the bytes of each storage, in the order of `keys`."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
      raise UnreadableError('the list of storages is not a list of names')
    if sorted(keys) != sorted(self._by_key):
      raise UnreadableError('the list of storages does not match the tensors')
    for key in keys:
      storage, element, _ = self._by_key[key]
      (num_elements,) = _NUM_ELEMENTS.unpack(reader.take(_NUM_ELEMENTS.size))
      if num_elements * element.dtype.itemsize != storage.num_bytes:
        raise UnreadableError(f'storage {key!a} has two different sizes')
      storage.data = reader.take(storage.num_bytes)
