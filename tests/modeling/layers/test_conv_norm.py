"""Tests of convolutions merged with a batch norm, against separate calls of the two layers."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.deform_conv import DeformConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.modeling.layers.standardized_conv import StandardizedConv2D
from htc_tf.modeling.layers.switchable_conv import SwitchableConv2D


def built(kind=PaddedConv2D, norm_eval=True, dtype='float32', **kwargs):
  """A convolution and its norm with random variables, for input [2, 7, 6, 8]."""
  conv = kind(12, 3, use_bias=False, dtype=dtype, **kwargs)
  norm = BatchNorm(norm_eval=norm_eval, epsilon=1e-5, momentum=0.9, dtype=dtype)
  assert build_conv_norm(conv, norm, [2, 7, 6, 8])[-1] == 12
  rng = np.random.default_rng(0)
  for variable in conv.weights:
    variable.assign(rng.normal(0.0, 0.3, variable.shape))
  for variable in norm.weights:
    variable.assign(rng.uniform(0.5, 1.5, variable.shape))
  return conv, norm


def images():
  return tf.random.stateless_normal([2, 7, 6, 8], [1, 2])


def outputs_and_gradients(function, x, variables):
  with tf.GradientTape() as tape:
    tape.watch(x)
    value = function(x)
  return [value, *tape.gradient(value, [x, *variables], tf.sin(value))]


@pytest.mark.parametrize(
  'kind,values',
  [
    (PaddedConv2D, {}),
    (PaddedConv2D, {'strides': 2, 'groups': 4}),
    (DeformConv2D, {}),
    (DeformConv2D, {'strides': 2, 'groups': 2}),
    (StandardizedConv2D, {'strides': 2, 'groups': 2}),
    (SwitchableConv2D, {'strides': 2}),
  ],
)
@pytest.mark.parametrize('training', [True, False])
def test_a_frozen_norm_is_merged_with_the_same_value_and_gradients(kind, values, training):
  conv, norm = built(kind, **values)
  variables = conv.trainable_weights + norm.trainable_weights
  expected = outputs_and_gradients(lambda x: norm(conv(x)), images(), variables)
  actual = outputs_and_gradients(lambda x: conv_norm(x, conv, norm, training), images(), variables)
  for value, reference in zip(actual, expected):
    np.testing.assert_allclose(value, reference, rtol=0, atol=1e-5 * np.abs(reference).max())


def test_a_merged_norm_adds_no_map_for_the_backward_pass():
  """The graph has no separate norm, whose input a backward pass would read."""
  conv, norm = built()
  function = tf.function(
    lambda x: conv_norm(x, conv, norm, True), autograph=False
  ).get_concrete_function(images())
  kinds = [op.type for op in function.graph.get_operations()]
  assert kinds.count('Conv2D') == 1 and not any('BatchNorm' in kind for kind in kinds)


def test_a_norm_with_batch_statistics_is_not_merged():
  conv, norm = built(norm_eval=False)
  before = norm.moving_mean.numpy()
  mean, variance = tf.nn.moments(conv(images()), [0, 1, 2])
  actual = conv_norm(images(), conv, norm, training=True)
  expected = tf.nn.batch_normalization(conv(images()), mean, variance, norm.beta, norm.gamma, 1e-5)
  np.testing.assert_allclose(actual, expected, atol=1e-4)
  np.testing.assert_allclose(norm.moving_mean, 0.9 * before + 0.1 * mean, atol=1e-5)
  norm.trainable = False
  np.testing.assert_allclose(
    conv_norm(images(), conv, norm, training=True), norm(conv(images())), atol=1e-5
  )


@pytest.mark.parametrize('kind', [PaddedConv2D, DeformConv2D])
def test_half_precision_rounds_the_scaled_kernel_once(kind):
  conv, norm = built(kind, dtype='mixed_bfloat16')
  x = tf.cast(images(), tf.bfloat16)
  actual = conv_norm(x, conv, norm)
  assert actual.dtype == tf.bfloat16 and conv.kernel.dtype == tf.float32
  scale, shift = norm.affine()
  kernel = tf.cast(conv.kernel * scale, tf.bfloat16)
  expected = conv.convolution_op(x, kernel) + tf.cast(shift, tf.bfloat16)
  np.testing.assert_array_equal(tf.cast(actual, tf.float32), tf.cast(expected, tf.float32))


@pytest.mark.parametrize('kind,num_variables', [(DeformConv2D, 3), (SwitchableConv2D, 14)])
def test_tapes_watch_no_variable_of_frozen_layers(kind, num_variables):
  conv = kind(4, 3, use_bias=False)
  norm = BatchNorm(norm_eval=True)
  conv.trainable = norm.trainable = False
  build_conv_norm(conv, norm, [1, 5, 5, 3])
  with tf.GradientTape() as tape:
    conv_norm(tf.ones([1, 5, 5, 3]), conv, norm, training=True)
  assert not tape.watched_variables()
  assert len(conv.weights) == num_variables and len(norm.weights) == 4
