"""Small checkpoint files, valid and malicious, written without torch or Paddle."""

import collections
import io
import pickle
import struct
import zipfile

import numpy as np

LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


class Call:
  """An object that pickles as the call of a named function, which need not exist.

  Args:
    name: full name, e.g. 'posix.system'.
    arguments: arguments of the call.
    state: state that a BUILD instruction sets on the result; None for no such instruction.
  """

  def __init__(self, name, arguments=(), state=None):
    self.name, self.arguments, self.state = name, arguments, state


class Name(collections.UserString):
  """A name that pickles as a reference, e.g. to the class of a storage."""


class Storage(tuple):
  """A persistent id."""


class _Pickler(pickle._Pickler):
  """A pickler of `Call`s; unlike the C pickler it does not look up the names."""

  def persistent_id(self, obj):
    return tuple(obj) if isinstance(obj, Storage) else None

  def save(self, obj, save_persistent_id=True):
    if isinstance(obj, Name):
      self.write(global_(str(obj)))
    elif isinstance(obj, Call):
      self.write(global_(obj.name))
      self.save(tuple(obj.arguments))
      self.write(pickle.REDUCE)
      if obj.state is not None:
        self.save(obj.state)
        self.write(pickle.BUILD)
    else:
      super().save(obj, save_persistent_id)


def global_(name):
  """The instruction that refers to a function or class."""
  module, _, leaf = name.rpartition('.')
  return f'c{module}\n{leaf}\n'.encode()


def pickled(value, protocol=2):
  """The pickle of plain data, `Call`s, `Name`s and `Storage`s."""
  stream = io.BytesIO()
  _Pickler(stream, protocol).dump(value)
  return stream.getvalue()


def program(instructions):
  """A pickle with the given instructions."""
  return b'\x80\x02' + instructions + b'.'


def storage(key, num_elements, name='torch.FloatStorage'):
  """The persistent id of a storage."""
  return Storage(('storage', Name(name), key, 'cpu', num_elements))


def tensor(stored, shape, strides=None, offset=0):
  """The call that rebuilds a tensor of a storage."""
  if strides is None:
    strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
  arguments = (stored, offset, tuple(shape), tuple(strides), False, Call('collections.OrderedDict'))
  return Call('torch._utils._rebuild_tensor_v2', arguments)


def torch_zip(value, storages=None, compression=zipfile.ZIP_STORED, **entries):
  """Bytes of a zip file as torch.save writes it.

  Args:
    value: object to pickle, or the bytes of the pickle.
    storages: bytes of the storages by key.
    compression: compression of all entries.
    **entries: further entries by name.
  """
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', compression) as archive:
    archive.writestr('m/data.pkl', value if isinstance(value, bytes) else pickled(value))
    for key, data in (storages or {}).items():
      archive.writestr(f'm/data/{key}', data)
    for name, data in entries.items():
      archive.writestr(f'm/{name}', data)
  return stream.getvalue()


def torch_legacy(value, storages, keys=None):
  """Bytes of a stream as torch.save wrote it before 1.6.

  Args:
    value: object to pickle.
    storages: (number of elements, bytes) by key.
    keys: order of the keys; None for that of `storages`.
  """
  parts = [
    LEGACY_MAGIC,
    pickled(1001),
    pickled({'little_endian': True}),
    pickled(value),
    pickled(list(storages) if keys is None else keys),
  ]
  for num_elements, data in storages.values():
    parts += [struct.pack('<q', num_elements), data]
  return b''.join(parts)
