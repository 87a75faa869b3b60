"""Tests of the detection of traces for XLA."""

import pytest
import tensorflow as tf

from htc_tf.ops import xla


@pytest.mark.parametrize('options,expected', [({}, False), ({'jit_compile': True}, True)])
def test_compiling_also_holds_in_functions_that_a_compiled_function_calls(options, expected):
  results = []

  @tf.function(autograph=False)
  def inner(x):
    results.append(xla.compiling())
    return x + 1.0

  @tf.function(autograph=False, **options)
  def outer(x):
    results.append(xla.compiling())
    return inner(x)

  assert outer(tf.constant(1.0)) == 2.0
  assert results == [expected, expected]


def test_eager_code_is_not_compiled():
  assert not xla.compiling()
