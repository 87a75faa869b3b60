"""Tests of group norm against PyTorch's and NumPy."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.group_norm import EPSILON, GroupNorm, GroupNormConv2D

_GROUPS = 2


def values(batch=2):
  return np.random.default_rng(0).normal(3.0, 2.0, [batch, 5, 4, 6]).astype(np.float32)


def built(layer, inputs):
  layer(inputs)
  rng = np.random.default_rng(1)
  for variable in layer.trainable_variables:
    variable.assign(rng.normal(size=variable.shape))
  return layer


def expected_of(x, gamma, beta):
  groups = x.reshape(*x.shape[:3], _GROUPS, -1).astype(np.float64)
  mean, variance = (f(groups, (1, 2, 4), keepdims=True) for f in (np.mean, np.var))
  normed = ((groups - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape)
  return normed * gamma.numpy() + beta.numpy()


def test_the_values_are_those_of_pytorch():
  # torch.nn.functional.group_norm of PyTorch 2, one pixel of each channel of both images.
  x = np.sin(np.arange(48, dtype=np.float32)).reshape(2, 4, 2, 3).transpose(0, 2, 3, 1)
  layer = GroupNorm(2)
  layer(x)
  layer.gamma.assign([1.0, 2.0, 3.0, 4.0])
  layer.beta.assign([0.0, 0.5, -0.5, 1.0])
  expected = [
    [-1.406056, -2.428386, -4.896851, -4.193123],
    [-1.026588, -0.871663, -1.29464, 1.527712],
  ]
  np.testing.assert_allclose(layer(x)[:, 1, 2], expected, atol=2e-6)


def test_each_group_of_each_image_has_its_own_statistics():
  x = values()
  layer = built(GroupNorm(_GROUPS), x)
  np.testing.assert_allclose(layer(x), expected_of(x, layer.gamma, layer.beta), atol=1e-5)


def test_training_and_other_rows_change_nothing():
  x = values()
  layer = built(GroupNorm(_GROUPS), x)
  np.testing.assert_allclose(layer(x, training=True)[:1], layer(x[:1]), atol=1e-6)
  assert not layer.non_trainable_variables


def test_statistics_are_float32_for_16_bits():
  x = tf.cast(values() + 100.0, tf.bfloat16)
  layer = built(GroupNorm(_GROUPS), x)
  expected = expected_of(tf.cast(x, tf.float32).numpy(), layer.gamma, layer.beta)
  assert layer(x).dtype == tf.bfloat16
  np.testing.assert_allclose(tf.cast(layer(x), tf.float32), expected, rtol=0.01, atol=0.01)


def test_a_batch_without_rows_has_no_output_and_no_gradient():
  x = tf.zeros([0, 5, 4, 6])
  layer = built(GroupNorm(_GROUPS), values())
  with tf.GradientTape() as tape:
    outputs = layer(x)
    total = tf.reduce_sum(outputs)
  assert outputs.shape == [0, 5, 4, 6]
  assert not np.any(tape.gradient(total, layer.trainable_variables))


def test_a_graph_of_any_size_keeps_the_known_shape():
  x = values()
  layer = built(GroupNorm(_GROUPS), x)
  signature = [tf.TensorSpec([None, None, None, 6])]
  graph = tf.function(layer, input_signature=signature, autograph=False)
  assert graph.get_concrete_function().output_shapes[3] == 6
  np.testing.assert_allclose(graph(x), layer(x), atol=1e-6)


@pytest.mark.parametrize('policy', ['float32', 'mixed_bfloat16'])
def test_convolution_norm_and_activation_follow_each_other(policy):
  x = values()
  tf_keras.mixed_precision.set_global_policy(policy)
  try:
    layer = built(GroupNormConv2D(6, 3, _GROUPS, tf.nn.relu), x)
    outputs = layer(tf.cast(x, layer.compute_dtype))
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  assert outputs.dtype == layer.compute_dtype
  assert [v.dtype for v in layer.trainable_variables] == [tf.float32] * 3
  convolved = tf.nn.conv2d(x, layer.conv.kernel, 1, 'SAME').numpy()
  expected = np.maximum(expected_of(convolved, layer.norm.gamma, layer.norm.beta), 0)
  atol = 1e-5 if policy == 'float32' else 0.1
  np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, atol=atol)
  assert layer.compute_output_shape(x.shape) == outputs.shape
