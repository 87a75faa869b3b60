"""Tests of reading zip files of torch, valid and malformed, which are made without torch."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest

from htc_tf.convert.torch_zip_file import read_torch_zip
from htc_tf.convert.unreadable import UnreadableError
from tests.tiny_checkpoints import Call, Name, Storage, storage, tensor, torch_zip

_VALUES = np.arange(6, dtype=np.float32)
_STORAGES = {'0': _VALUES.tobytes()}
_TENSOR = tensor(storage('0', 6), (2, 3))


def test_tensors_are_read():
  stored = read_torch_zip(torch_zip({'a': _TENSOR, 'b': [_TENSOR]}, _STORAGES))
  np.testing.assert_array_equal(stored['a'].load(), _VALUES.reshape(2, 3))
  assert stored['b'][0].storage is stored['a'].storage


@pytest.mark.parametrize('order, dtype', [('little', '<f4'), ('big', '>f4')])
def test_both_byte_orders_are_read(order, dtype):
  data = torch_zip(_TENSOR, {'0': _VALUES.astype(dtype).tobytes()}, byteorder=order)
  np.testing.assert_array_equal(read_torch_zip(data).load(), _VALUES.reshape(2, 3))


@pytest.mark.parametrize('order', ['<', '>'])
def test_untyped_storages_are_read_in_both_byte_orders(order):
  untyped = storage('0', 4, 'torch.storage.UntypedStorage')
  value = Call(
    'torch._utils._rebuild_tensor_v3', (untyped, 0, (2,), (1,), False, None, Name('torch.uint16'))
  )
  data = torch_zip(
    value,
    {'0': np.array([1, 65535], order + 'u2').tobytes()},
    byteorder='little' if order == '<' else 'big',
  )
  np.testing.assert_array_equal(read_torch_zip(data).load(), np.uint16([1, 65535]))


def test_parameters_and_tensors_of_the_first_version_are_read():
  first = Call('torch._utils._rebuild_tensor', (storage('0', 6), 1, (2,), (2,)))
  hooks = Call('collections.OrderedDict')
  parameter = Call('torch._utils._rebuild_parameter', (first, True, hooks))
  np.testing.assert_array_equal(read_torch_zip(torch_zip(parameter, _STORAGES)).load(), [1, 3])


@pytest.mark.parametrize(
  'value',
  [
    tensor(storage('1', 6), (2, 3)),  # no such storage
    tensor(storage('0', 7), (2, 3)),
    tensor(storage('0', -6), (2, 3)),
    tensor(storage('0', 10**10), (10**5, 10**5)),
    tensor(storage('0', 6), (2, 4)),
    tensor(storage('0', 6), (2, 3), offset=1),
    tensor('0', (2, 3)),
    tensor(Storage(('storage', Name('torch.FloatStorage'), '../0', 'cpu', 6)), (2, 3)),
    tensor(Storage(('storage', Name('torch.FloatStorage'), 0, 'cpu', 6)), (2, 3)),
    tensor(Storage(('storage', Name('torch.Size'), '0', 'cpu', 6)), (2, 3)),
    tensor(Storage(('storage', Name('torch.FloatStorage'), '0', 'cpu', 6, ('1', 0, 2))), (2,)),
    Storage(('module', 'x', 'y', 'z', 0)),
    Storage(()),
    Call('torch._utils._rebuild_parameter', ('text', True, None)),
    Call('torch._utils._rebuild_tensor_v3', (storage('0', 6), 0, (1,), (1,), False, None, 'f4')),
    Call('torch._utils._rebuild_tensor_v2', (1, 2)),
    Call('torch.FloatStorage', (6,)),
  ],
)
def test_malformed_tensors_and_storages_are_refused(value):
  with pytest.raises(UnreadableError):
    read_torch_zip(torch_zip(value, _STORAGES))


def test_compressed_entries_are_refused():
  data = torch_zip(_TENSOR, {'0': bytes(10**6)}, zipfile.ZIP_DEFLATED)
  with pytest.raises(UnreadableError, match='compressed'):
    read_torch_zip(data)


@pytest.mark.parametrize('name', ['m/data/0', 'm/data.pkl'])
def test_duplicate_names_are_refused(name):
  stream = io.BytesIO(torch_zip(_TENSOR, _STORAGES))
  with zipfile.ZipFile(stream, 'a') as archive, warnings.catch_warnings():
    warnings.simplefilter('ignore')  # zipfile warns of the duplicate name.
    archive.writestr(name, b'')
  with pytest.raises(UnreadableError, match='duplicate'):
    read_torch_zip(stream.getvalue())


@pytest.mark.parametrize('name', ['../m', '/etc/x', 'm/../../x', '..\\x', '\\x'])
def test_names_that_leave_the_archive_are_refused(name):
  stream = io.BytesIO(torch_zip(_TENSOR, _STORAGES))
  with zipfile.ZipFile(stream, 'a') as archive:
    archive.writestr(name, b'')
  with pytest.raises(UnreadableError, match='leaves the archive'):
    read_torch_zip(stream.getvalue())


def test_zip_files_of_other_programs_are_refused():
  stream = io.BytesIO()
  np.savez(stream, a=_VALUES)
  with pytest.raises(UnreadableError, match=r'0 entries data.pkl'):
    read_torch_zip(stream.getvalue())


def test_a_changed_weight_is_noticed():
  data = torch_zip(_TENSOR, _STORAGES)
  changed = data.replace(_VALUES.tobytes(), (_VALUES + 1).tobytes())
  with pytest.raises(UnreadableError, match='checksum'):
    read_torch_zip(changed)


# Offsets of fields in an entry of the zip directory: compression method, compressed size, size,
# flags, and twice the offset of the entry.
@pytest.mark.parametrize(
  'offset, layout, value',
  [
    (10, '<H', 8),
    (20, '<I', 10**9),
    (24, '<I', 2**32 - 2),
    (8, '<H', 1),
    (42, '<I', 10**9),
    (42, '<I', 1),
  ],
)
def test_wrong_zip_directories_are_refused(offset, layout, value):
  data = bytearray(torch_zip(_TENSOR, _STORAGES))
  for entry in (data.find(b'PK\x01\x02'), data.rfind(b'PK\x01\x02')):
    struct.pack_into(layout, data, entry + offset, value)
  with pytest.raises(UnreadableError):
    read_torch_zip(bytes(data))


def test_archives_with_too_many_entries_are_refused():
  with pytest.raises(UnreadableError, match='entries'):
    read_torch_zip(torch_zip(_TENSOR, _STORAGES) + b'PK\x01\x02' * 100_001)


@pytest.mark.parametrize('order', ['', 'middle'])
def test_unknown_byte_orders_are_refused(order):
  with pytest.raises(UnreadableError, match='byte order'):
    read_torch_zip(torch_zip(_TENSOR, _STORAGES, byteorder=order))
