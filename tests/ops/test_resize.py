"""Tests of the resize operations inside the network."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops.resize import resize_align_corners, resize_half_pixel, resize_nearest
from parity.pack import EXTRACT
from tests.published_weights import channels_last, load

OPS = load(EXTRACT / 'ops.npz')


def _compiled(function, x, size):
  return tf.function(lambda: function(tf.constant(x), size), jit_compile=True, autograph=False)()


@pytest.mark.parametrize('function', [resize_align_corners, resize_nearest])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_resize_equals_the_reference(function, jit_compile):
  name = function.__name__
  x = channels_last(OPS[f'{name}/x'])
  targets = [key for key in OPS if key.startswith(f'{name}/to_')]
  assert targets
  for key in targets:
    expected = channels_last(OPS[key])
    size = expected.shape[1:3]
    actual = function(tf.constant(x), size) if not jit_compile else _compiled(function, x, size)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6, err_msg=key)


@pytest.mark.parametrize('size', [(6, 8), (7, 11), (3, 4), (1, 2)])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_half_pixel_resize_interpolates_between_pixel_centers(size, jit_compile):
  x = np.random.default_rng(0).normal(size=[1, 3, 4, 2]).astype(np.float32)
  expected = x
  for axis, length in enumerate(size, 1):
    old = np.arange(x.shape[axis]) + 0.5
    new = (np.arange(length) + 0.5) * (x.shape[axis] / length)
    expected = np.apply_along_axis(lambda v, n=new, o=old: np.interp(n, o, v), axis, expected)
  compiled = tf.function(resize_half_pixel, jit_compile=jit_compile, autograph=False)
  actual = compiled(tf.constant(x), list(size))
  np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize('function', [resize_align_corners, resize_half_pixel, resize_nearest])
def test_resize_keeps_the_dtype_and_has_gradients(function):
  x = tf.cast(tf.random.stateless_normal([2, 3, 4, 1], [1, 2]), tf.bfloat16)
  assert function(x, tf.constant([5, 7])).dtype == tf.bfloat16
  x = tf.Variable(tf.ones([1, 3, 4, 1]))
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(function(x, tf.constant([6, 8])))
  np.testing.assert_allclose(tf.reduce_sum(tape.gradient(total, x)), 48, rtol=1e-5)
