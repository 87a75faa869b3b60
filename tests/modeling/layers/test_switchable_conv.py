"""Tests of the switchable convolution against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.standardized_conv import StandardizedConv2D
from htc_tf.modeling.layers.switchable_conv import SwitchableConv2D
from htc_tf.ops.deform_conv import deform_conv2d

RNG = np.random.default_rng(0)
SHAPE = (2, 7, 6, 4)


def built(stride=1, randomized=True):
  layer = SwitchableConv2D(6, 3, strides=stride, use_bias=False)
  layer.build(SHAPE)
  if randomized:
    for variable in layer.weights:
      variable.assign(RNG.normal(0.1, 0.3, variable.shape))
  return layer


def images():
  return RNG.normal(size=SHAPE).astype(np.float32)


def convolved(x, kernel, dilation, stride):
  """NumPy: convolution of a map that is zero outside."""
  size = kernel.shape[0]
  pad = dilation * (size // 2)
  padded = np.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
  height, width = x.shape[1:3]
  return sum(
    padded[
      :,
      dy * dilation : dy * dilation + height : stride,
      dx * dilation : dx * dilation + width : stride,
    ]
    @ kernel[dy, dx]
    for dy in range(size)
    for dx in range(size)
  )


def context(x, conv):
  return x.mean((1, 2), keepdims=True) @ conv.kernel.numpy()[0, 0] + conv.bias.numpy()


def averages_of(x):
  padded = np.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], 'reflect')
  height, width = x.shape[1:3]
  return np.mean(
    [padded[:, y : y + height, x : x + width] for y in range(5) for x in range(5)], 0
  ).astype(np.float32)


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('deformed', [False, True])
def test_equals_numpy(stride, deformed):
  layer, x = built(stride), images()
  if not deformed:
    for conv in (layer.offset_s, layer.offset_l):
      conv.set_weights([np.zeros_like(value) for value in conv.get_weights()])
  columns = layer.kernel.numpy().reshape(-1, 6)
  standardized = (columns - columns.mean(0)) / np.sqrt(columns.var(0, ddof=1) + 1e-5)
  kernel = (layer.weight_gamma * standardized + layer.weight_beta).numpy()
  kernel = kernel.reshape(layer.kernel.shape)

  inputs = x + context(x, layer.pre_context)
  averages = averages_of(inputs)
  kernels = (kernel, kernel + layer.weight_diff.numpy())
  if deformed:
    offsets = [
      convolved(averages, conv.kernel.numpy(), 1, stride) + conv.bias
      for conv in (layer.offset_s, layer.offset_l)
    ]
    small, large = (
      deform_conv2d(inputs, offset, each.astype(np.float32), stride, dilation=dilation).numpy()
      for offset, each, dilation in zip(offsets, kernels, (1, 3))
    )
  else:
    small, large = (convolved(inputs, each, d, stride) for each, d in zip(kernels, (1, 3)))
  switch = convolved(averages, layer.switch.kernel.numpy(), 1, stride) + layer.switch.bias.numpy()
  expected = switch * small + (1.0 - switch) * large
  expected = expected + context(expected, layer.post_context)
  actual = layer(x)
  assert actual.shape == expected.shape == tuple(layer.compute_output_shape(SHAPE))
  np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)


def test_a_new_layer_is_a_standardized_convolution():
  layer, plain, x = built(2, randomized=False), StandardizedConv2D(6, 3, strides=2), images()
  plain.build(SHAPE)
  plain.kernel.assign(layer.kernel)
  np.testing.assert_allclose(layer(x), plain(x), atol=1e-4)


@pytest.mark.parametrize('height,width', [(1, 1), (2, 5)])
def test_maps_can_be_smaller_than_the_windows(height, width):
  assert built(2)(tf.ones([1, height, width, 4])).shape == [1, 1, -(-width // 2), 6]


def test_gradients_reach_every_variable_also_under_xla():
  layer, x = built(2), images()

  def gradients():
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(tf.sin(layer(x)))
    return tape.gradient(loss, layer.trainable_weights)

  assert len(layer.trainable_weights) == 2 + 2 * 5
  compiled = tf.function(gradients, jit_compile=True, autograph=False)()
  for variable, expected, actual in zip(layer.trainable_weights, gradients(), compiled):
    assert np.any(expected), variable.name
    tolerance = 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=variable.name)


def test_16_bits_stay_and_are_near():
  x = images()
  exact, layer = built(), SwitchableConv2D(6, 3, use_bias=False, dtype='mixed_bfloat16')
  layer.build(SHAPE)
  layer.set_weights(exact.get_weights())
  actual = layer(x, scale=tf.ones([6]), shift=tf.zeros([6]))
  assert actual.dtype == tf.bfloat16 and layer.kernel.dtype == tf.float32
  expected = exact(x)
  assert np.abs(tf.cast(actual, tf.float32) - expected).max() < 0.1 * np.abs(expected).max()
