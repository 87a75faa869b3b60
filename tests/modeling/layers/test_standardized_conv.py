"""Tests of the convolution with standardized kernels against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.modeling.layers.standardized_conv import StandardizedConv2D, kernel_moments

RNG = np.random.default_rng(0)


def built(**values):
  """A layer with random variables, and a plain one with the kernel that it should have."""
  layer, plain = (
    kind(6, 3, strides=2, use_bias=False, **values) for kind in (StandardizedConv2D, PaddedConv2D)
  )
  for each in (layer, plain):
    each.build([1, 7, 6, 4])
  kernel = RNG.normal(0.3, 0.2, layer.kernel.shape)
  gamma, beta = RNG.uniform(0.5, 1.5, 6), RNG.normal(size=6)
  layer.set_weights([kernel, gamma, beta])
  columns = kernel.reshape(-1, 6)
  standardized = (columns - columns.mean(0)) / np.sqrt(columns.var(0, ddof=1) + 1e-5)
  plain.set_weights([(gamma * standardized + beta).reshape(kernel.shape)])
  return layer, plain


@pytest.mark.parametrize('groups', [1, 2])
def test_equals_numpy(groups):
  layer, plain = built(groups=groups)
  x = RNG.normal(size=[1, 7, 6, 4]).astype(np.float32)
  np.testing.assert_allclose(layer(x), plain(x), rtol=1e-4, atol=1e-4)


def test_a_new_kernel_has_mean_0_and_the_variance_of_he():
  layer = StandardizedConv2D(6, 3)
  layer.build([1, 7, 6, 4])
  kernel = layer._kernel_of(*layer._kernel_parts())
  np.testing.assert_allclose(np.mean(kernel, (0, 1, 2)), 0, atol=1e-6)
  np.testing.assert_allclose(np.var(kernel, (0, 1, 2), ddof=1), 2 / (3 * 3 * 4), rtol=1e-2)


def test_the_moments_of_a_kernel_make_the_layer_a_plain_convolution():
  layer, _ = built()
  mean, deviation = kernel_moments(layer.kernel)
  layer.weight_gamma.assign(deviation)
  layer.weight_beta.assign(mean)
  np.testing.assert_allclose(layer._kernel_of(*layer._kernel_parts()), layer.kernel, atol=1e-5)


def test_only_the_kernel_is_trained():
  layer, _ = built()
  assert [variable.name for variable in layer.trainable_weights] == ['kernel:0']
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(tf.random.stateless_normal([1, 7, 6, 4], [1, 2])) ** 2)
  gradient = tape.gradient(loss, layer.kernel)
  # Neither a shift nor a scale of the kernel of an output channel changes the result.
  assert np.any(gradient)
  np.testing.assert_allclose(np.sum(gradient, (0, 1, 2)), 0, atol=1e-3 * np.abs(gradient).max())
