"""Tests of NumPy arrays in pickles, against the arrays that NumPy pickled."""

import numpy as np
import pytest

from htc_tf.convert.paddle_file import read_paddle
from htc_tf.convert.unreadable import UnreadableError
from tests.tiny_checkpoints import Call, Name, pickled

_ARRAYS = (
  np.arange(24, dtype=np.float32).reshape(2, 3, 4),
  np.asfortranarray(np.arange(6.0).reshape(2, 3)),
  np.arange(6, dtype='>f8'),
  np.array([True, False]),
  np.array(3, np.int64),
  np.zeros((0, 3)),
  np.arange(500, dtype=np.uint8),
  np.float64(2.5),
  np.array([1 + 2j]),
  np.float16([1.5]),
)


def _array(dtype=None, data=b'\0' * 8, state=None):
  """An array of two float32 as a pickle builds it, with some parts replaced."""
  dtype = dtype or Call('numpy.dtype', ('f4', False, True), (3, '<', None, None, None, -1, -1, 0))
  encoded = Call('_codecs.encode', (data.decode('latin-1'), 'latin1'))
  arguments = (Name('numpy.ndarray'), (0,), encoded)
  return Call(
    'numpy.core.multiarray._reconstruct',
    arguments,
    (1, (2,), dtype, False, encoded) if state is None else state,
  )


@pytest.mark.parametrize('array', _ARRAYS, ids=lambda array: f'{array.dtype}{array.shape}')
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_arrays_are_read_as_numpy_wrote_them(array, protocol):
  values = read_paddle(pickled({'a': array}, protocol))['a'].load()
  assert values.dtype == array.dtype.newbyteorder('=') and values.dtype.isnative
  np.testing.assert_array_equal(values, array)


@pytest.mark.parametrize(
  'array',
  [
    np.array([{}, None], object),
    np.array(['text']),
    np.array([b'bytes']),
    np.zeros(2, [('a', 'f4')]),
    np.array('2020-01-01', 'M8[D]'),
    np.zeros(2, 'V4'),
    np.zeros(1, np.longdouble),
  ],
  ids=lambda array: str(array.dtype),
)
def test_arrays_of_anything_but_numbers_are_refused(array):
  with pytest.raises(UnreadableError, match=r'numpy.dtype'):
    read_paddle(pickled({'a': array}))


def test_the_array_of_these_tests_is_valid():
  np.testing.assert_array_equal(read_paddle(pickled({'a': _array()}))['a'].load(), [0, 0])


@pytest.mark.parametrize(
  'value, reason',
  [
    (_array(data=b'\0' * 7), 'states 8 bytes but has 7'),
    (_array(data=b'\0' * 2000), 'states 8 bytes but has 2000'),
    (_array(state=(1, (2,))), 'state of a NumPy array is not'),
    (_array(state=(1, (2,), 'f4', False, '')), 'is not a dtype'),
    (_array(state=(1, (2,), Call('numpy.dtype', ('f4',)), False, [1, 2])), 'not bytes'),
    (_array(state=(1, (-2,), Call('numpy.dtype', ('f4',)), False, '')), 'shape'),
    (_array(state=(1, (0,) * 40, Call('numpy.dtype', ('f4',)), False, '')), 'shape'),
    (_array(dtype=Call('numpy.dtype', ('f4',), (3, '<', None, ('a',), {}, -1, -1, 0))), 'fields'),
    (_array(dtype=Call('numpy.dtype', ('f4',), (3, '!', None, None, None))), 'byte order'),
    (_array(dtype=Call('numpy.dtype', ('f4',), (3,))), 'state of a NumPy dtype is not'),
    (Call('numpy.dtype', (Name('numpy.ndarray'),)), 'numpy.dtype'),
    (Call('numpy.dtype', ({'names': ['a']},)), 'numpy.dtype'),
    (Call('numpy.dtype', ()), 'arguments'),
    (Call('_codecs.encode', ('ā', 'latin1')), 'above 255'),
    (Call('_codecs.encode', ('a', 'rot13')), 'encoding'),
    (Call('_codecs.encode', (1, 'latin1')), 'not text'),
    (
      Call('numpy.core.multiarray._reconstruct', (Name('torch.Size'), (0,), 'b')),
      'class of an array',
    ),
    (Call('numpy.core.multiarray.scalar', (1, 'x')), 'is not a dtype'),
  ],
)
def test_malformed_arrays_are_refused(value, reason):
  with pytest.raises(UnreadableError, match=reason):
    read_paddle(pickled({'a': value}))


def test_the_state_of_an_array_is_set_once():
  data = pickled({'a': _array()})
  assert data.endswith(b'bs.')
  with pytest.raises(UnreadableError, match='state of a StoredArray'):
    read_paddle(data[:-2] + b'Nbs.')
