"""Tests of the deformable convolution as a layer."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.deform_conv import DeformConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.ops.deform_conv import deform_conv2d


@pytest.mark.parametrize('strides,groups', [(1, 1), (2, 2)])
def test_a_new_layer_is_a_plain_convolution(strides, groups):
  x = tf.random.stateless_normal([2, 7, 6, 4], [1, 2])
  layer = DeformConv2D(6, 3, strides=strides, groups=groups)
  plain = PaddedConv2D(6, 3, strides=strides, groups=groups)
  plain.build(x.shape)
  value = layer(x)
  plain.set_weights([layer.kernel, layer.bias])
  np.testing.assert_allclose(value, plain(x), atol=1e-5)


def test_offsets_come_from_one_plain_convolution_with_bias():
  x = tf.random.stateless_normal([1, 7, 6, 4], [1, 2])
  layer = DeformConv2D(6, 3, strides=2, groups=2, use_bias=False)
  layer.build(x.shape)
  assert layer.conv_offset.kernel.shape == [3, 3, 4, 18]
  layer.conv_offset.kernel.assign(tf.random.stateless_normal([3, 3, 4, 18], [3, 4]))
  layer.conv_offset.bias.assign(tf.linspace(-1.0, 1.0, 18))
  offsets = tf.nn.conv2d(x, layer.conv_offset.kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
  expected = deform_conv2d(x, offsets + layer.conv_offset.bias, layer.kernel, 2, 2)
  np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_gradients_reach_every_variable():
  layer = DeformConv2D(6, 3)
  with tf.GradientTape() as tape:
    value = layer(tf.random.stateless_normal([1, 7, 6, 4], [1, 2]))
    loss = tf.reduce_sum(value**2)
  assert len(layer.trainable_weights) == 4
  assert all(np.any(gradient) for gradient in tape.gradient(loss, layer.trainable_weights))
