"""Tests of the convolution with norm against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.batch_norm import NormOptions
from htc_tf.modeling.layers.normed_conv import NormedConv2D


def build(shape, norm_eval=True, **values):
  layer = NormedConv2D(2, 1, NormOptions(norm_eval), **values)
  layer.build(shape)
  rng = np.random.default_rng(0)
  for variable in layer.variables:
    variable.assign(rng.uniform(0.5, 1.5, variable.shape))
  return layer


def test_a_pointwise_layer_equals_numpy():
  x = np.random.default_rng(1).normal(size=[2, 5, 4, 3]).astype(np.float32)
  layer = build(x.shape, stride=2)
  gamma, beta, mean, variance = (variable.numpy() for variable in layer.norm.variables)
  expected = (x[:, ::2, ::2] @ layer.conv.kernel.numpy()[0, 0] - mean) / np.sqrt(variance + 1e-5)
  np.testing.assert_allclose(layer(x), expected * gamma + beta, rtol=1e-4, atol=1e-5)
  assert layer.compute_output_shape(x.shape) == [2, 3, 2, 2]


@pytest.mark.parametrize('norm_eval', [True, False])
def test_the_gradient_reaches_every_trained_variable(norm_eval):
  layer = build([2, 5, 4, 3], norm_eval=norm_eval)
  assert len(layer.trainable_variables) == 3
  with tf.GradientTape() as tape:
    outputs = layer(tf.random.stateless_normal([2, 5, 4, 3], [0, 1]), training=True)
    total = tf.reduce_sum(outputs**3)
  assert all(np.any(gradient) for gradient in tape.gradient(total, layer.trainable_variables))


def test_a_frozen_layer_is_not_recorded():
  layer = NormedConv2D(2, 3, NormOptions(norm_eval=False))
  layer.trainable = False
  with tf.GradientTape() as tape:
    layer(tf.ones([1, 4, 4, 3]), training=True)
  assert not tape.watched_variables() and not layer.trainable_variables
