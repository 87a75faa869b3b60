"""Whether a trace is compiled by XLA is known inside it."""

import pytest
import tensorflow as tf

from htc_tf.ops import xla


@pytest.mark.parametrize('options,expected', [({}, False), ({'jit_compile': True}, True)])
def test_compiling_in_a_function_and_in_one_it_calls(options, expected):
  seen = []

  @tf.function
  def inner(x):
    seen.append(xla.compiling())
    return x + 1.0

  @tf.function(**options)
  def outer(x):
    seen.append(xla.compiling())
    return inner(x)

  assert outer(tf.constant(1.0)) == 2.0
  assert seen == [expected, expected]


def test_nothing_is_compiled_eagerly():
  assert not xla.compiling()
