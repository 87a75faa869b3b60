"""Tests of reading files of Paddle, which are made without Paddle."""

import numpy as np
import pytest

from htc_tf.convert.paddle_file import read_paddle
from htc_tf.convert.unreadable import UnreadableError
from tests.tiny_checkpoints import Call, pickled, storage

_VALUES = np.arange(6, dtype=np.float32)


@pytest.mark.parametrize('protocol', [2, 4])
def test_arrays_are_read_and_internal_names_skipped(protocol):
  names = {'a': 'conv2d_0.w_0'}
  stored = read_paddle(pickled({'a': _VALUES, 'StructuredToParameterName@@': names}, protocol))
  assert list(stored) == ['a']
  np.testing.assert_array_equal(stored['a'].load(), _VALUES)


@pytest.mark.parametrize('module', ['builtins', '__builtin__'])
def test_tensors_saved_with_their_name_are_read(module):
  pair = Call(f'{module}.tuple', (('conv2d_0.w_0', _VALUES),))
  np.testing.assert_array_equal(read_paddle(pickled({'a': pair}))['a'].load(), _VALUES)


def test_the_form_that_paddle_evaluates_is_refused():
  with pytest.raises(UnreadableError, match=r'builtins.eval'):
    read_paddle(pickled({'a': Call('builtins.eval', ('data', {'data': _VALUES}))}))


def test_files_without_a_dictionary_are_refused():
  with pytest.raises(UnreadableError, match='list instead of a dictionary'):
    read_paddle(pickled([_VALUES]))


def test_persistent_ids_are_refused():
  with pytest.raises(UnreadableError, match='outside its pickle'):
    read_paddle(pickled({'a': storage('0', 6)}))
