"""Tests of NumPy arrays in pickles, against NumPy's own."""

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


def _parts(dtype=None, data=b'\0' * 8, state=None):
  """An array of two float32 as a pickle spells it, with parts exchanged."""
  dtype = dtype or Call('numpy.dtype', ('f4', False, True), (3, '<', None, None, None, -1, -1, 0))
  spelled = Call('_codecs.encode', (data.decode('latin-1'), 'latin1'))
  arguments = (Name('numpy.ndarray'), (0,), spelled)
  return Call(
    'numpy.core.multiarray._reconstruct',
    arguments,
    (1, (2,), dtype, False, spelled) if state is None else state,
  )


@pytest.mark.parametrize('array', _ARRAYS, ids=lambda array: f'{array.dtype}{array.shape}')
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_reads_arrays_as_numpy_wrote_them(array, protocol):
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
def test_refuses_arrays_of_anything_but_numbers(array):
  with pytest.raises(UnreadableError, match=r'numpy.dtype'):
    read_paddle(pickled({'a': array}))


def test_the_spelled_array_is_sound():
  np.testing.assert_array_equal(read_paddle(pickled({'a': _parts()}))['a'].load(), [0, 0])


@pytest.mark.parametrize(
  'value, reason',
  [
    (_parts(data=b'\0' * 7), 'claims 8 bytes and has 7'),
    (_parts(data=b'\0' * 2000), 'claims 8 bytes and has 2000'),
    (_parts(state=(1, (2,))), 'no state'),
    (_parts(state=(1, (2,), 'f4', False, '')), 'no type'),
    (_parts(state=(1, (2,), Call('numpy.dtype', ('f4',)), False, [1, 2])), 'no bytes'),
    (_parts(state=(1, (-2,), Call('numpy.dtype', ('f4',)), False, '')), 'no shape'),
    (_parts(state=(1, (0,) * 40, Call('numpy.dtype', ('f4',)), False, '')), 'no shape'),
    (_parts(dtype=Call('numpy.dtype', ('f4',), (3, '<', None, ('a',), {}, -1, -1, 0))), 'fields'),
    (_parts(dtype=Call('numpy.dtype', ('f4',), (3, '!', None, None, None))), 'no order'),
    (_parts(dtype=Call('numpy.dtype', ('f4',), (3,))), 'no state'),
    (Call('numpy.dtype', (Name('numpy.ndarray'),)), 'numpy.dtype'),
    (Call('numpy.dtype', ({'names': ['a']},)), 'numpy.dtype'),
    (Call('numpy.dtype', ()), 'arguments'),
    (Call('_codecs.encode', ('ā', 'latin1')), 'above 255'),
    (Call('_codecs.encode', ('a', 'rot13')), 'encoding'),
    (Call('_codecs.encode', (1, 'latin1')), 'no text'),
    (Call('numpy.core.multiarray._reconstruct', (Name('torch.Size'), (0,), 'b')), 'known class'),
    (Call('numpy.core.multiarray.scalar', (1, 'x')), 'no type'),
  ],
)
def test_refuses_malformed_arrays(value, reason):
  with pytest.raises(UnreadableError, match=reason):
    read_paddle(pickled({'a': value}))


def test_an_array_is_described_once():
  data = pickled({'a': _parts()})
  assert data.endswith(b'bs.')
  with pytest.raises(UnreadableError, match='state of a StoredArray'):
    read_paddle(data[:-2] + b'Nbs.')
