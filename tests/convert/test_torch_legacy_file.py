"""Tests of reading legacy streams of torch, which are made without torch."""

import numpy as np
import pytest

from htc_tf.convert.torch_legacy_file import SIGNATURE, read_torch_legacy
from htc_tf.convert.unreadable import UnreadableError
from tests.tiny_checkpoints import LEGACY_MAGIC, pickled, storage, tensor, torch_legacy

_VALUES = np.arange(6, dtype=np.float32)
_COUNTS = np.arange(3)
_STORAGES = {'b': (3, _COUNTS.tobytes()), 'a': (6, _VALUES.tobytes())}
_STORED = {
  'x': tensor(storage('a', 6), (2, 3)),
  'y': tensor(storage('b', 3, 'torch.LongStorage'), (3,)),
}


def test_the_signature_is_the_pickle_of_the_magic_number():
  assert SIGNATURE == LEGACY_MAGIC


def test_storages_are_read_in_the_order_of_the_list():
  stored = read_torch_legacy(torch_legacy(_STORED, _STORAGES))
  np.testing.assert_array_equal(stored['x'].load(), _VALUES.reshape(2, 3))
  np.testing.assert_array_equal(stored['y'].load(), _COUNTS)


@pytest.mark.parametrize(
  'storages, keys',
  [
    ({'a': _STORAGES['a']}, None),
    ({**_STORAGES, 'c': (0, b'')}, None),
    (_STORAGES, ['a', 'a']),
    (_STORAGES, {'a': 1}),
    (_STORAGES, [1, 2]),
    (_STORAGES, ['a', 'b']),
    ({**_STORAGES, 'a': (7, _VALUES.tobytes())}, None),
    ({**_STORAGES, 'a': (6, b'short')}, None),
    ({**_STORAGES, 'a': (-1, _VALUES.tobytes())}, None),
  ],
)
def test_storages_that_do_not_match_the_tensors_are_refused(storages, keys):
  with pytest.raises(UnreadableError):
    read_torch_legacy(torch_legacy(_STORED, storages, keys))


def test_storages_larger_than_the_file_are_refused():
  content = {'x': tensor(storage('a', 10**10), (10**5, 10**5))}
  with pytest.raises(UnreadableError):
    read_torch_legacy(torch_legacy(content, {'a': (10**10, b'')}))


def test_unknown_protocols_are_refused():
  with pytest.raises(UnreadableError, match='1001'):
    read_torch_legacy(LEGACY_MAGIC + pickled(1002))
