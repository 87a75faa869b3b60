"""Tests of the ResNet that a pyramid is fed back into."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.feedback_block import FeedbackBlock
from htc_tf.modeling.backbones.feedback_resnet import FeedbackResNet
from htc_tf.modeling.backbones.published_resnet import PublishedResNet

TINY = {'model_id': 18, 'width_multiplier': 0.0625, 'frozen_stages': 1}


def images():
  return tf.random.stateless_normal([1, 40, 45, 3], [1, 2])


def feedback():
  sizes = {'3': (5, 6), '4': (3, 3), '5': (2, 2)}
  return {level: tf.random.stateless_normal([1, *size, 6], [3, 4]) for level, size in sizes.items()}


def randomized(**values):
  """A model in which the feedback and all residual paths have an effect."""
  tf_keras.utils.set_random_seed(0)
  model = FeedbackResNet(6, **TINY, **values)
  for variable in model.variables:
    if 'gamma' in variable.name or 'rfp_conv/kernel' in variable.name:
      variable.assign(tf.random.stateless_uniform(variable.shape, [5, 6], 0.2, 0.5))
  return model


def test_a_new_model_ignores_the_feedback():
  model, plain = FeedbackResNet(6, **TINY), PublishedResNet(**TINY)
  plain.set_weights(
    [variable.numpy() for variable in model.weights if 'rfp_conv' not in variable.name]
  )
  expected = plain(images())
  outputs = model(images(), feedback())
  assert sorted(outputs) == ['2', '3', '4', '5']
  for level, value in expected.items():
    np.testing.assert_allclose(outputs[level], value, rtol=1e-4, atol=1e-5)


def test_the_feedback_is_added_before_the_relu_of_the_first_block_of_a_stage():
  model, maps = randomized(), feedback()
  outputs = model(images(), maps)
  first, second = model.layer2
  assert isinstance(first, FeedbackBlock) and not isinstance(second, FeedbackBlock)
  x = outputs['2']
  summed = first._run_path(x, False) + first._run_shortcut(x, False)
  kernel, bias = first.rfp_conv.weights
  x = tf.nn.relu(summed + maps['3'] @ kernel[0, 0] + bias)
  np.testing.assert_allclose(outputs['3'], second(x), rtol=1e-5, atol=1e-5)
  assert not any(isinstance(block, FeedbackBlock) for block in model.layer1)


@pytest.mark.parametrize('recompute', [False, True])
def test_gradients_reach_every_variable_and_the_feedback(recompute):
  model, maps = randomized(recompute=recompute), feedback()
  with tf.GradientTape() as tape:
    tape.watch(maps)
    outputs = model(images(), maps, training=True)
    loss = tf.add_n([tf.reduce_sum(value**2) for value in outputs.values()])
  gradients = tape.gradient(loss, [*model.trainable_variables, *maps.values()])
  assert all(np.any(gradient) for gradient in gradients)
  names = {variable.name.split('/')[0] for variable in model.trainable_variables}
  assert names == {'layer2', 'layer3', 'layer4'}
  assert sum('rfp_conv' in variable.name for variable in model.trainable_variables) == 6


def test_the_feedback_of_frozen_stages_is_frozen():
  model = FeedbackResNet(6, **{**TINY, 'frozen_stages': 3})
  with tf.GradientTape() as tape:
    model(images(), feedback(), training=True)
  names = [v.name for v in tape.watched_variables() if 'rfp_conv' in v.name]
  assert sorted(names) == ['layer4/0/rfp_conv/bias:0', 'layer4/0/rfp_conv/kernel:0']
  assert len(tape.watched_variables()) == len(model.trainable_variables)
