"""Tests of the activation of transformers, beside the error function of Python."""

import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import plain
from htc_tf.ops.gelu import gelu
from tests.graph_operations import operation_types

_VALUES = [-6.0, -2.5, -1.0, -0.1, 0.0, 0.1, 1.0, 2.5, 6.0]
_EXPECTED = [x * 0.5 * (1.0 + math.erf(x / math.sqrt(2.0))) for x in _VALUES]


def _traced(is_plain):
  function = tf.function(gelu, autograph=False, input_signature=[tf.TensorSpec([None])])
  if not is_plain:
    return function.get_concrete_function()
  with plain.only_plain_operations():
    return function.get_concrete_function()


@pytest.mark.parametrize('is_plain', [False, True])
def test_values_are_the_shares_of_the_normal_distribution(is_plain):
  traced = _traced(is_plain)
  np.testing.assert_allclose(traced(tf.constant(_VALUES)), _EXPECTED, rtol=0, atol=1e-6)
  assert traced(tf.zeros([0])).shape == [0]


def test_plain_operations_have_no_complementary_error_function():
  types = [operation_types(_traced(is_plain)) for is_plain in (False, True)]
  assert ['Erfc' in each for each in types] == [True, False]


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_negative_values_are_precise_in_16_bits(dtype):
  found = gelu(tf.constant(-3.0, dtype))
  assert found.dtype == dtype
  expected = -1.5 * (1.0 + math.erf(-3.0 / math.sqrt(2.0)))
  assert float(found) == pytest.approx(expected, rel=0.05)
