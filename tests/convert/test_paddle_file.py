"""Tests of Paddle's files, made by hand."""

import numpy as np
import pytest

from htc_tf.convert.paddle_file import read_paddle
from htc_tf.convert.unreadable import UnreadableError
from tests.tiny_checkpoints import Call, pickled, storage

_VALUES = np.arange(6, dtype=np.float32)


@pytest.mark.parametrize('protocol', [2, 4])
def test_reads_arrays_and_leaves_internal_names_out(protocol):
  names = {'a': 'conv2d_0.w_0'}
  stored = read_paddle(pickled({'a': _VALUES, 'StructuredToParameterName@@': names}, protocol))
  assert list(stored) == ['a']
  np.testing.assert_array_equal(stored['a'].load(), _VALUES)


@pytest.mark.parametrize('module', ['builtins', '__builtin__'])
def test_reads_tensors_saved_with_their_name(module):
  pair = Call(f'{module}.tuple', (('conv2d_0.w_0', _VALUES),))
  np.testing.assert_array_equal(read_paddle(pickled({'a': pair}))['a'].load(), _VALUES)


def test_refuses_the_form_that_paddle_itself_evaluates():
  with pytest.raises(UnreadableError, match=r'builtins.eval'):
    read_paddle(pickled({'a': Call('builtins.eval', ('data', {'data': _VALUES}))}))


def test_refuses_what_is_no_dictionary():
  with pytest.raises(UnreadableError, match='list instead of a dictionary'):
    read_paddle(pickled([_VALUES]))


def test_refuses_persistent_ids():
  with pytest.raises(UnreadableError, match='outside its pickle'):
    read_paddle(pickled({'a': storage('0', 6)}))
