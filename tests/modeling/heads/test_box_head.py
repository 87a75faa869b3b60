"""Tests of the box head by hand-computed cases.

test_published_layout.py compares it with published values.
"""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.heads.box_head import BoxHead


def randomize(layer):
  rng = np.random.default_rng(0)
  for variable in layer.variables:
    variable.assign(rng.normal(size=variable.shape))


def gradients_of(layer, *inputs):
  with tf.GradientTape() as tape:
    outputs = tf.nest.flatten(layer(*inputs))
    total = tf.add_n([tf.reduce_sum(tf.cast(value, tf.float32) ** 2) for value in outputs])
  return tape.gradient(total, layer.trainable_variables)


def test_box_head_treats_rois_independently():
  head = BoxHead(num_classes=3, num_fcs=2, fc_dims=5)
  features = np.random.default_rng(0).normal(size=[2, 3, 2, 2, 4]).astype(np.float32)
  head(features)
  randomize(head)
  logits, deltas = head(features)
  assert logits.shape == [2, 3, 3] and deltas.shape == [2, 3, 4]
  alone = head(features[1:, 2:])
  np.testing.assert_allclose(alone[0][0, 0], logits[1, 2], rtol=1e-4)
  np.testing.assert_allclose(alone[1][0, 0], deltas[1, 2], rtol=1e-4)


def test_box_head_without_rois_has_empty_outputs():
  logits, deltas = BoxHead(num_classes=3, fc_dims=5)(tf.zeros([2, 0, 2, 2, 4]))
  assert logits.shape == [2, 0, 3] and deltas.shape == [2, 0, 4]


@pytest.mark.parametrize('num_fcs', [1, 3])
def test_box_head_gradients_reach_every_variable(num_fcs):
  head = BoxHead(num_classes=3, num_fcs=num_fcs, fc_dims=5)
  gradients = gradients_of(head, tf.ones([1, 2, 2, 2, 4]))
  assert len(gradients) == 2 * (num_fcs + 2)
  assert all(gradient is not None for gradient in gradients)
