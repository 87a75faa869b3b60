"""Reads the stream torch.save wrote before 1.6: five pickles, then the bytes of each storage."""

import struct
from typing import Any

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import Storage
from htc_tf.convert.torch_globals import TypedStorage
from htc_tf.convert.torch_zip_file import storage_identity
from htc_tf.convert.unreadable import UnreadableError

# The first pickle of the stream: protocol 2, a whole number of ten bytes, the end.
SIGNATURE = b'\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.'

_PROTOCOL = 1001
_NUM_ELEMENTS = struct.Struct('<q')


def read_torch_legacy(data: bytes) -> Any:
  """The object a legacy stream of torch.save holds, its tensors as `StoredArray`.

  Args:
    data: the whole file.

  Raises:
    UnreadableError: the file is damaged or asks for anything that is no tensor.
  """
  storages = _Storages()
  reader = PickleReader(memoryview(data), storages.announce, len(data))
  reader.read()  # the signature
  protocol = reader.read()
  if protocol != _PROTOCOL:
    raise UnreadableError(f'it is of an unknown protocol instead of {_PROTOCOL}')
  reader.read()  # sizes of C types where it was written; what follows does not depend on them
  stored = reader.read()
  storages.fill(reader.read(), reader)
  return stored


class _Storages:
  """Storages by key: announced in the pickle, filled from what follows it."""

  def __init__(self) -> None:
    self._announced: dict[str, TypedStorage] = {}

  def announce(self, identity: Any) -> TypedStorage:
    """What a persistent id ('storage', type, key, device, number of elements, None) stands for."""
    element, key, num_elements = storage_identity(identity)
    if key not in self._announced:
      storage = Storage(num_elements * element.dtype.itemsize)
      self._announced[key] = TypedStorage(storage, element)
    return self._announced[key]

  def fill(self, keys: Any, reader: PickleReader) -> None:
    """Reads the bytes of each storage in the order of `keys`."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
      raise UnreadableError('its list of storages is no list')
    if sorted(keys) != sorted(self._announced):
      raise UnreadableError('its list of storages is not that of its tensors')
    for key in keys:
      storage, element, _ = self._announced[key]
      (num_elements,) = _NUM_ELEMENTS.unpack(reader.take(_NUM_ELEMENTS.size))
      if num_elements * element.dtype.itemsize != storage.num_bytes:
        raise UnreadableError(f'storage {key!a} claims two sizes')
      storage.data = reader.take(storage.num_bytes)
