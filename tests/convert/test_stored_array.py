"""Tests of stored arrays: views of bytes, their bounds, byte orders and bfloat16."""

import numpy as np
import pytest

from htc_tf.convert.stored_array import (
  Latin1Bytes,
  Storage,
  StoredArray,
  contiguous_strides,
  element_type,
  view_of,
)
from htc_tf.convert.unreadable import UnreadableError

_BASE = np.arange(24, dtype='<f4').reshape(4, 6)


def _storage(array):
  return Storage(array.nbytes, memoryview(array.tobytes()))


@pytest.mark.parametrize(
  'shape, strides, offset, expected',
  [
    ((4, 6), (6, 1), 0, _BASE),
    ((2, 6), (6, 1), 6, _BASE[1:3]),
    ((6, 4), (1, 6), 0, _BASE.T),
    ((2, 3), (12, 2), 1, _BASE[::2, 1::2]),
    ((3, 4), (2, 1), 0, np.float32([[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]])),
    ((2, 3), (0, 0), 23, np.full((2, 3), 23, np.float32)),
    ((), (), 5, np.float32(5)),
    ((0, 3), (3, 1), 0, np.zeros((0, 3), np.float32)),
    ((1, 2), (2**39, 1), 22, _BASE[3:, 4:]),
  ],
)
def test_a_view_has_the_described_values(shape, strides, offset, expected):
  array = view_of(_storage(_BASE), element_type('f4'), shape, strides, offset).load()
  assert array.dtype == np.float32 and array.shape == expected.shape
  np.testing.assert_array_equal(array, expected)
  assert not array.size or not array.flags.writeable


@pytest.mark.parametrize(
  'shape, strides, offset',
  [
    ((4, 6), (6, 1), 1),
    ((25,), (1,), 0),
    ((1,), (1,), 24),
    ((2, 2), (23, 1), 0),
    ((), (), 24),
    ((5, 5), (0, 0), 0),  # more values than the storage has
    ((2**39, 2**39), (0, 0), 0),
    ((0, 2**39, 2**39), (0, 0, 0), 0),
    ((-1,), (1,), 0),
    ((2,), (-1,), 1),
    ((1,), (1,), -1),
    ((2.0,), (1,), 0),
    ((2,), ('1',), 0),
    ((True,), (1,), 0),
    ((2, 3), (1,), 0),
    ((1,) * 33, (1,) * 33, 0),
    ((2**63,), (0,), 0),
  ],
)
def test_views_beyond_the_storage_are_refused(shape, strides, offset):
  with pytest.raises(UnreadableError):
    view_of(_storage(_BASE), element_type('f4'), shape, strides, offset)


def test_values_are_views_of_the_file_where_possible():
  data = memoryview(bytes(16) + _BASE.tobytes())
  array = view_of(Storage(96, data[16:]), element_type('f4'), (24,), (1,), 0).load()
  assert np.shares_memory(array, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize('shift', [1, 2, 3])
def test_unaligned_bytes_are_copied_once_per_storage(shift):
  storage = Storage(96, memoryview(bytes(shift) + _BASE.tobytes())[shift:])
  first, second = (view_of(storage, element_type('f4'), (24,), (1,), 0).load() for _ in range(2))
  np.testing.assert_array_equal(first, _BASE.ravel())
  assert first.flags.aligned and np.shares_memory(first, second)


def test_big_endian_values_become_native():
  storage = _storage(_BASE.astype('>f4'))
  array = view_of(storage, element_type('f4').with_byte_order('>'), (4, 6), (6, 1), 0).load()
  assert array.dtype.isnative
  np.testing.assert_array_equal(array, _BASE)


@pytest.mark.parametrize('order', ['<', '>'])
def test_bfloat16_becomes_float32(order):
  upper_halves = np.array([0x3F80, 0xC000, 0x7F80, 0x0001], order + 'u2')
  element = element_type('bf2').with_byte_order(order)
  array = view_of(_storage(upper_halves), element, (4,), (1,), 0).load()
  assert array.dtype == np.float32
  np.testing.assert_array_equal(array, np.float32([1, -2, np.inf, 2.0**-133]))


def test_bytes_stored_as_text_are_decoded():
  text = memoryview(bytes(range(256)).decode('latin-1').encode('utf-8'))
  array = view_of(Storage(256, Latin1Bytes(text)), element_type('u1'), (256,), (1,), 0).load()
  np.testing.assert_array_equal(array, np.arange(256))


@pytest.mark.parametrize(
  'storage',
  [
    Storage(4),
    Storage(4, memoryview(b'abc')),
    Storage(4, Latin1Bytes(memoryview(b'abc'))),
    Storage(4, Latin1Bytes(memoryview('abcā'.encode()))),
    Storage(4, Latin1Bytes(memoryview(b'\xff'))),
  ],
)
def test_storages_without_their_bytes_are_refused(storage):
  with pytest.raises(UnreadableError):
    view_of(storage, element_type('u1'), (4,), (1,), 0).load()


def test_arrays_without_a_state_are_refused():
  with pytest.raises(UnreadableError, match='never set'):
    StoredArray().load()


@pytest.mark.parametrize('shape', [(), (5,), (2, 3, 4)])
def test_contiguous_strides_are_those_of_numpy(shape):
  for order in 'CF':
    array = np.zeros(shape, np.uint8, order)
    assert contiguous_strides(shape, fortran=order == 'F') == array.strides
