"""Tests of the grouped convolution."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops.grouped_conv import grouped_conv2d

PADDING = [[0, 0], [1, 1], [1, 1], [0, 0]]


def convolve_per_group(x, kernel, groups, strides):
  """One convolution per group."""
  parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1))
  return tf.concat([tf.nn.conv2d(part, k, strides, PADDING) for part, k in parts], -1)


def gradients_of(function, x, kernel):
  with tf.GradientTape() as tape:
    tape.watch([x, kernel])
    value = function(x, kernel)
  return [value, *tape.gradient(value, [x, kernel], tf.sin(value))]


# Groups that run together: all 4, 8 of 64, 3 of 6, 1 of 2; the last case is a plain convolution.
@pytest.mark.parametrize(
  'groups,in_channels,out_channels', [(4, 8, 8), (64, 4, 4), (6, 10, 2), (2, 40, 3), (1, 5, 3)]
)
@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
@pytest.mark.parametrize('mode', ['eager', 'graph', 'xla'])
def test_equals_one_convolution_per_group(groups, in_channels, out_channels, strides, mode):
  x = tf.random.stateless_normal([2, 6, 5, groups * in_channels], [1, 2])
  kernel = tf.random.stateless_normal([3, 3, in_channels, groups * out_channels], [3, 4])
  expected = gradients_of(lambda *values: convolve_per_group(*values, groups, strides), x, kernel)

  def actual(*values):
    return gradients_of(
      lambda x, kernel: grouped_conv2d(x, kernel, groups, strides, PADDING), *values
    )

  if mode != 'eager':
    actual = tf.function(actual, jit_compile=mode == 'xla', autograph=False)
  for value, reference in zip(actual(x, kernel), expected):
    np.testing.assert_allclose(value, reference, atol=1e-4)


def test_an_empty_batch_has_an_empty_output():
  result = grouped_conv2d(tf.zeros([0, 6, 5, 8]), tf.ones([3, 3, 2, 8]), 4, (1, 1), PADDING)
  assert result.shape == [0, 6, 5, 8]
