"""Tests of the pickle reader with plain data, and with malformed and hostile pickles."""

import pickle
import struct
import tracemalloc

import pytest

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import LongText
from htc_tf.convert.unreadable import UnreadableError
from tests.tiny_checkpoints import program

_PLAIN = {
  'none': None,
  'flags': [True, False],
  'floats': [0.5, -1e300],
  'numbers': [0, 255, 65535, -1, 2**31 - 1, -(2**31), 2**40, -(2**100)],
  'tuples': ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
  'nested': {'a': {'b': [{}, []]}},
  7: 'seven',
  None: 'none',
  'text': 'äß',
}


def _read(data):
  def refuse(identity):
    raise UnreadableError(f'persistent {identity}')

  return PickleReader(memoryview(data), refuse, len(data)).read()


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_plain_data_is_read_as_by_python(protocol):
  assert _read(pickle.dumps(_PLAIN, protocol)) == _PLAIN


@pytest.mark.parametrize('protocol', [2, 4])
def test_shared_objects_and_cycles_are_read(protocol):
  shared = []
  cycle = [shared, shared]
  cycle.append(cycle)
  value = _read(pickle.dumps(cycle, protocol))
  assert value[0] is value[1] and value[2] is value


def test_bytes_and_sets_and_strings_of_python_2_are_read():
  assert _read(pickle.dumps(b'abc', 4)) == b'abc'
  assert _read(program(b'U\x02hi')) == 'hi'
  assert _read(pickle.dumps({'s': {1, 2}, 'f': frozenset([1])}, 4)).keys() == {'s', 'f'}


def test_long_texts_are_not_decoded():
  value = _read(pickle.dumps('ä' * 1000, 2))
  assert isinstance(value, LongText) and str(value.utf8, 'utf-8') == 'ä' * 1000


def test_consecutive_pickles_are_read():
  data = memoryview(pickle.dumps(1, 2) + pickle.dumps([2], 2) + b'rest')
  reader = PickleReader(data, lambda identity: None, len(data))
  assert (reader.read(), reader.read(), bytes(reader.take(4))) == (1, [2], b'rest')


@pytest.mark.parametrize(
  'data, reason',
  [
    (b'', 'ends within'),
    (b'\x80\x02', 'ends within'),
    (program(b'0'), 'empty stack'),
    (program(b''), 'empty stack'),
    (program(b't'), 'not opened'),
    (program(b'h\x05'), 'not stored'),
    (program(b'q\x05'), 'empty stack'),
    (program(b'Na'), 'empty stack'),
    (program(b'NNa'), 'not a list'),
    (program(b']Nb'), 'state of a list'),
    (program(b'NNNs'), 'not a dictionary'),
    (program(b'}(Nu'), 'key without a value'),
    (program(b'}]Ns'), 'key of type list'),
    (program(b'}G' + bytes(8) + b'Ns'), 'key of type float'),
    (program(b'}))s'), 'key of type tuple'),
    (program(b'}\x8a\x09' + bytes(8) + b'\x10Ns'), 'key of type int'),
    (program(b'N)R'), 'not callable'),
    (program(b'cbuiltins\nset\nNR'), 'not callable'),
    (program(b'ccollections\nOrderedDict\n)}\x92'), 'keyword arguments'),
    (program(b'NN\x93'), 'not text'),
    (program(b'c' + b'a' * 300), 'does not end'),
    (program(b'c\xff\nx\n'), 'UTF-8'),
    (program(b'U\x01\xff'), 'UTF-8'),
    (program(b'NQ'), 'persistent'),
  ],
)
def test_malformed_pickles_are_refused(data, reason):
  with pytest.raises(UnreadableError, match=reason):
    _read(data)


@pytest.mark.parametrize(
  'code, name',
  [
    (b'\x82\x01', 'EXT1'),
    (b'\x83\x01\x00', 'EXT2'),
    (b'\x84\x01\x00\x00\x00', 'EXT4'),
    (b'(iposix\nsystem\n', 'INST'),
    (b'(o', 'OBJ'),
    (b'P1\n', 'PERSID'),
    (b'\x96' + bytes(8), '96'),
  ],
)
def test_instructions_that_weights_do_not_need_are_refused(code, name):
  with pytest.raises(UnreadableError, match=name):
    _read(program(code))


@pytest.mark.parametrize(
  'size',
  [
    b'r\xff\xff\xff\x7f',  # a memo of 2**31 entries, one of which is used
    b'B' + struct.pack('<I', 2**32 - 1),
    b'\x8e' + struct.pack('<Q', 10 * 2**30),
    b'X' + struct.pack('<I', 2**32 - 1),
    b'\x8d' + struct.pack('<Q', 2**63),
    b'\x8b' + struct.pack('<i', 2**31 - 1),
    b'\x8b' + struct.pack('<i', -1),
    b'T' + struct.pack('<I', 2**31),
    b'\x95' + struct.pack('<Q', 2**63) + b'N0',
  ],
)
def test_stated_sizes_take_no_memory(size):
  tracemalloc.start()
  try:
    _outcome(program(b'N' + size))
    assert tracemalloc.get_traced_memory()[1] < 100_000
  finally:
    tracemalloc.stop()


@pytest.mark.parametrize(
  'unit', [b'}', b']', b'(', b'\x8f', b'N\x94', b'K\xffK\xff\x86', b'\x8c\x30' + b'a' * 48]
)
def test_the_memory_of_many_small_objects_is_bounded_by_the_file(unit):
  data = program(unit * (2**20 // len(unit)))
  tracemalloc.start()
  try:
    _outcome(data)
    assert tracemalloc.get_traced_memory()[1] < 2 * len(data) + 40 * 2**20
  finally:
    tracemalloc.stop()


def test_deep_nesting_needs_no_recursion():
  depth = 40_000
  value = _read(program(b']' * depth + b'a' * (depth - 1)))
  for _ in range(depth - 1):
    (value,) = value
  assert value == []


def test_nested_references_are_refused_as_keys():
  doubling = b'(' + b'N' + b''.join(b'q%ch%c\x86' % (index, index) for index in range(60))
  with pytest.raises(UnreadableError, match='key of type tuple'):
    _read(program(b'}' + doubling[1:] + b'Ns'))


def _outcome(data):
  try:
    return _read(data)
  except UnreadableError as error:
    return error
