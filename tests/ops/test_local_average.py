"""Tests of the averages of neighborhoods against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops.local_average import local_average

RNG = np.random.default_rng(0)


def averaged(x, window):
  reach = window // 2
  padded = np.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]], 'reflect')
  height, width = x.shape[1:3]
  shifted = [
    padded[:, dy : dy + height, dx : dx + width] for dy in range(window) for dx in range(window)
  ]
  return np.mean(shifted, 0)


@pytest.mark.parametrize('height,width', [(3, 3), (4, 9), (11, 5)])
@pytest.mark.parametrize('window', [3, 5])
@pytest.mark.parametrize('mode', ['eager', 'graph', 'xla'])
def test_equals_numpy(height, width, window, mode):
  x = RNG.normal(size=[2, height, width, 3]).astype(np.float32)
  function = local_average
  if mode != 'eager':
    spec = x.shape if mode == 'xla' else [None, None, None, 3]
    function = tf.function(
      lambda x: local_average(x, window),
      input_signature=[tf.TensorSpec(spec)],
      jit_compile=mode == 'xla',
      autograph=False,
    )
  actual = function(x) if mode != 'eager' else function(x, window)
  assert actual.shape == x.shape
  np.testing.assert_allclose(actual, averaged(x, window), atol=1e-6)


def test_maps_that_cannot_be_reflected_repeat_their_first_row():
  x = tf.constant([1.0, 5.0])[tf.newaxis, :, tf.newaxis, tf.newaxis]  # two rows, one column
  # The windows hold the rows 1, 1, 2, 1, 1 (the last one repeated) around the first row.
  np.testing.assert_allclose(local_average(x, 5)[0, :, 0, 0], [(1 + 5 + 1 + 5 + 1) / 5] * 2)
  np.testing.assert_array_equal(local_average(x[:, :1], 5), x[:, :1])


def test_16_bits_stay():
  x = tf.ones([1, 4, 4, 2], tf.bfloat16)
  assert local_average(x, 5).dtype == tf.bfloat16
