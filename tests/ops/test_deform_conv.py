"""Tests of the deformable convolution against stored reference arrays and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops.deform_conv import deform_conv2d
from parity.pack import EXTRACT
from tests import published_weights
from tests.published_weights import channels_last

OPS = published_weights.load(EXTRACT / 'ops.npz')
CASES = ('stride1', 'stride2', 'grouped', 'far')


def stored_array(case, key):
  return OPS[f'deform_conv/{case}/{key}']


def inputs_of(case):
  x, offset, weight = (stored_array(case, key) for key in ('x', 'offset', 'weight'))
  return [
    tf.constant(channels_last(x)),
    tf.constant(channels_last(offset)),
    tf.constant(published_weights.kernel(weight)),
  ]


def run(x, offsets, kernel, stride, groups, upstream=None):
  """Output and gradients of all inputs."""
  with tf.GradientTape() as tape:
    tape.watch([x, offsets, kernel])
    output = deform_conv2d(x, offsets, kernel, stride, groups)
  return output, tape.gradient(output, [x, offsets, kernel], upstream)


def assert_near(actual, expected, tolerance):
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('mode', ['eager', 'graph', 'xla'])
def test_equals_the_reference(case, mode):
  stride, groups = int(stored_array(case, 'stride')), int(stored_array(case, 'groups'))
  function = (
    run if mode == 'eager' else tf.function(run, jit_compile=mode == 'xla', autograph=False)
  )
  upstream = tf.constant(channels_last(stored_array(case, 'upstream')))
  output, gradients = function(*inputs_of(case), stride, groups, upstream)
  assert_near(output, channels_last(stored_array(case, 'output')), 5e-5)
  for actual, key in zip(gradients, ('x', 'offset', 'weight')):
    expected = stored_array(case, f'{key}_gradient')
    expected = published_weights.kernel(expected) if key == 'weight' else channels_last(expected)
    assert_near(actual, expected, 1e-4)


def test_samples_by_hand():
  """A kernel of one tap outputs its samples; at pixel (0, 0) the offset is the position."""
  x = tf.constant([[1.0, 2.0], [3.0, 5.0]])[tf.newaxis, ..., tf.newaxis]
  positions = [[0, 0], [0.5, 0.5], [-0.5, 0], [1, 1.75], [-1, 0], [2, 1], [1.5, -0.5], [-9, 70]]
  values = [
    deform_conv2d(x, tf.tile([[[position]]], [1, 2, 2, 1]), tf.ones([1, 1, 1, 1]))[0, 0, 0]
    for position in tf.constant(positions, tf.float32)
  ]
  np.testing.assert_allclose(np.ravel(values), [1, 2.75, 0.5, 1.25, 0, 0, 0.75, 0])


@pytest.mark.parametrize('stride', [1, 2])
def test_zero_offsets_give_a_plain_convolution(stride):
  x = tf.random.stateless_normal([2, 7, 9, 4], [1, 2])
  kernel = tf.random.stateless_normal([3, 3, 4, 6], [3, 4])
  offsets = tf.zeros([2, -(-7 // stride), -(-9 // stride), 18])
  expected = tf.nn.conv2d(x, kernel, stride, [[0, 0], [1, 1], [1, 1], [0, 0]])
  np.testing.assert_allclose(deform_conv2d(x, offsets, kernel, stride), expected, atol=1e-5)


@pytest.mark.parametrize('stride', [1, 2])
def test_dilated_taps_are_padded_on_every_side(stride):
  x = tf.random.stateless_normal([2, 7, 9, 4], [1, 2])
  kernel = tf.random.stateless_normal([3, 3, 4, 6], [3, 4])
  offsets = tf.zeros([2, -(-7 // stride), -(-9 // stride), 18])
  padded = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
  expected = tf.nn.conv2d(padded, kernel, 1, 'VALID', dilations=3)[:, ::stride, ::stride]
  actual = deform_conv2d(x, offsets, kernel, stride, dilation=3)
  np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_an_empty_batch_has_empty_outputs_and_gradients():
  output, gradients = run(
    tf.zeros([0, 4, 4, 2]), tf.zeros([0, 4, 4, 18]), tf.ones([3, 3, 2, 2]), 1, 1
  )
  assert output.shape == [0, 4, 4, 2]
  assert [gradient.shape for gradient in gradients[:2]] == [[0, 4, 4, 2], [0, 4, 4, 18]]
  np.testing.assert_array_equal(gradients[2], np.zeros([3, 3, 2, 2]))


@pytest.mark.parametrize('dtype', [tf.bfloat16, tf.float16])
def test_positions_stay_float32_in_half_precision(dtype):
  """Far from the origin, the dtype cannot represent a column plus a fractional offset."""
  width = 600
  stripes = tf.cast(tf.range(width) % 2, dtype)  # A rounded position would give other values.
  x = tf.reshape(stripes, [1, 1, width, 1])
  offsets = tf.cast(tf.fill([1, 1, width, 18], 0.25), dtype)
  kernel = tf.cast(tf.one_hot([4], 9), dtype)  # only the middle tap
  output, gradients = run(x, offsets, tf.reshape(kernel, [3, 3, 1, 1]), 1, 1)
  assert output.dtype == dtype and all(gradient.dtype == dtype for gradient in gradients)
  # dy = 0.25 weights the row by 0.75; dx = 0.25 mixes in a quarter of the next column.
  expected = 0.75 * np.where(np.arange(width - 1) % 2, 0.75, 0.25)
  np.testing.assert_allclose(tf.cast(output, tf.float32)[0, 0, :-1, 0], expected, atol=2e-3)


@pytest.mark.parametrize('groups', [1, 2])
def test_strengths_are_factors_on_the_samples_of_each_tap(groups):
  """Against the sum over the taps of plain deformable convolutions, gradients included."""
  random = np.random.default_rng(0)
  shapes = ([2, 5, 6, 4], [2, 3, 3, 18], [3, 3, 4 // groups, 6], [2, 3, 3, 9], [2, 3, 3, 6])
  x, offsets, kernel, strengths, upstream = (
    tf.constant(random.normal(size=shape), tf.float32) for shape in shapes
  )
  inputs = [x, offsets, kernel, strengths]
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(inputs)
    actual = deform_conv2d(x, offsets, kernel, 2, groups, strengths=strengths)
    taps = [tf.reshape(tf.one_hot(tap, 9), [3, 3, 1, 1]) * kernel for tap in range(9)]
    expected = tf.add_n(
      [
        strengths[..., tap, tf.newaxis] * deform_conv2d(x, offsets, of_tap, 2, groups)
        for tap, of_tap in enumerate(taps)
      ]
    )
  np.testing.assert_allclose(actual, expected, atol=1e-4)
  gradients = (tape.gradient(output, inputs, upstream) for output in (actual, expected))
  for one, other in zip(*gradients):
    np.testing.assert_allclose(one, other, atol=1e-3)
