"""Tests of the modulated deformable convolution as a layer."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.modulated_deform_conv import ModulatedDeformConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D

# Output of mmcv 2.2.0's ModulatedDeformConv2dPack for `stored_inputs`.
MMCV = [
  *(-1.213605, -0.21579, -0.237337, 0.338775, -0.731733, 0.151399),
  *(0.859875, 0.04182, 0.182244, -0.075725, -2.601341, 0.840239),
]


def stored_inputs():
  """Image, kernel, and kernel and bias of the offsets and strengths, in our layout."""
  random = np.random.default_rng(0)
  shapes = ([1, 4, 5, 2], [3, 3, 2, 2], [3, 3, 2, 27], [27])
  return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def test_the_output_is_that_of_mmcv():
  x, *weights = stored_inputs()
  layer = ModulatedDeformConv2D(2, 3, strides=2, use_bias=False)
  layer.build(x.shape)
  layer.kernel.assign(weights[0])
  layer.conv_offset.set_weights(weights[1:])
  np.testing.assert_allclose(np.ravel(layer(x)), MMCV, atol=1e-4)


@pytest.mark.parametrize('strides,groups', [(1, 1), (2, 2)])
def test_a_new_layer_is_half_of_a_plain_convolution(strides, groups):
  x = tf.random.stateless_normal([2, 7, 6, 4], [1, 2])
  layer = ModulatedDeformConv2D(6, 3, strides=strides, groups=groups, use_bias=False)
  plain = PaddedConv2D(6, 3, strides=strides, groups=groups, use_bias=False)
  plain.build(x.shape)
  value = layer(x)
  plain.set_weights([layer.kernel])
  np.testing.assert_allclose(value, 0.5 * plain(x), atol=1e-5)


def test_gradients_reach_every_variable_in_half_precision():
  layer = ModulatedDeformConv2D(6, 3, dtype='mixed_bfloat16')
  with tf.GradientTape() as tape:
    value = layer(tf.random.stateless_normal([1, 7, 6, 4], [1, 2]))
    loss = tf.reduce_sum(tf.cast(value, tf.float32) ** 2)
  assert value.dtype == tf.bfloat16 and len(layer.trainable_weights) == 4
  assert all(np.any(gradient) for gradient in tape.gradient(loss, layer.trainable_weights))
