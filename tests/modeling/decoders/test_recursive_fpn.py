"""Tests of the recursive feature pyramid."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones.feedback_resnet import FeedbackResNet
from htc_tf.modeling.backbones.published_resnet import PublishedResNet
from htc_tf.modeling.decoders.published_fpn import PublishedFPN
from htc_tf.modeling.decoders.recursive_fpn import RecursiveFPN

TINY = {'model_id': 18, 'width_multiplier': 0.0625, 'frozen_stages': -1}


def images():
  return tf.random.stateless_normal([1, 70, 64, 3], [1, 2])


@pytest.fixture(name='pair')
def _pair():
  """A backbone and a decoder with random variables."""
  backbone = PublishedResNet(**TINY)
  decoder = RecursiveFPN(FeedbackResNet(8, **TINY), 2, '2345', num_filters=4)
  decoder(backbone(images()), images())
  rng = np.random.default_rng(0)
  for variable in (*backbone.variables, *decoder.variables):
    if 'moving' not in variable.name:
      scale = 1.0 / np.sqrt(max(np.prod(variable.shape[:-1]), 1.0))
      variable.assign(rng.normal(0.5 if 'gamma' in variable.name else 0.0, scale, variable.shape))
  return backbone, decoder


def test_equals_its_parts(pair):
  backbone, decoder = pair
  maps = backbone(images())
  pyramid = PublishedFPN.call(decoder, maps)
  feedback = {level: decoder._pooling(pyramid[level]) for level in '345'}
  again = PublishedFPN.call(decoder, decoder._feedback_backbone(images(), feedback))
  kernel, bias = decoder._blend.weights
  outputs = decoder(maps, images())
  assert sorted(outputs) == list('23456') == sorted(decoder.output_specs)
  for level, value in outputs.items():
    weight = 1.0 / (1.0 + np.exp(-(again[level] @ kernel[0, 0] + bias)))
    expected = weight * again[level] + (1.0 - weight) * pyramid[level]
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(again[level], pyramid[level], atol=1e-3)


def test_a_new_decoder_averages_both_pyramids():
  backbone = PublishedResNet(**TINY)
  decoder = RecursiveFPN(FeedbackResNet(8, **TINY), 2, '2345', num_filters=4)
  maps = backbone(images())
  outputs = decoder(maps, images())
  again = decoder._feedback_backbone(images(), {level: tf.zeros([1, 1, 1, 8]) for level in '345'})
  first, second = (PublishedFPN.call(decoder, each) for each in (maps, again))
  np.testing.assert_allclose(outputs['3'], (first['3'] + second['3']) / 2, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_variable(pair):
  backbone, decoder = pair
  with tf.GradientTape() as tape:
    outputs = decoder(backbone(images(), training=True), images(), training=True)
    loss = tf.add_n([tf.reduce_sum(value**2) for value in outputs.values()])
  variables = [*backbone.trainable_variables, *decoder.trainable_variables]
  for variable, gradient in zip(variables, tape.gradient(loss, variables)):
    assert np.any(gradient), variable.name
