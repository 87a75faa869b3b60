"""Tests of the box head with convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.heads.conv_box_head import ConvBoxHead
from htc_tf.modeling.layers.batch_norm import NormOptions

_SHAPE = [2, 3, 4, 4, 5]


def built(norm_eval=False):
  tf.random.set_seed(0)
  norm = NormOptions(norm_eval=norm_eval)
  head = ConvBoxHead(2, 6, norm, num_classes=3, num_fcs=1, fc_dims=7)
  features = np.random.default_rng(0).normal(size=_SHAPE).astype(np.float32)
  head(features)
  return head, features


def test_the_layers_are_those_of_the_published_head():
  head, _ = built()
  shapes = {variable.name: variable.shape.as_list() for variable in head.trainable_variables}
  assert len(shapes) == 2 * 3 + 3 * 2
  kernels = [shape for name, shape in shapes.items() if 'kernel' in name]
  assert sorted(kernels) == [[3, 3, 5, 6], [3, 3, 6, 6], [7, 3], [7, 4], [4 * 4 * 6, 7]]
  assert len(head.non_trainable_variables) == 2 * 2


def test_the_outputs_are_those_of_convolutions_of_each_roi():
  head, features = built()
  x = tf.reshape(features, [-1, *_SHAPE[2:]])
  for conv in head._convs:
    x = tf.nn.relu(tf.nn.conv2d(x, conv.kernel, 1, 'SAME') / np.sqrt(1 + 1e-5))
  hidden = tf.nn.relu(head._fcs[0](tf.reshape(x, [2, 3, -1])))
  logits, deltas = head(features)
  np.testing.assert_allclose(logits, head._logits(hidden), atol=1e-6)
  np.testing.assert_allclose(deltas, head._deltas(hidden), atol=1e-7)


def test_training_normalizes_with_all_rois_and_updates_the_statistics():
  head, features = built()
  before = [variable.numpy() for variable in head.non_trainable_variables]
  training = head(features, training=True)[0]
  changed = [np.any(a != b) for a, b in zip(before, head.non_trainable_variables)]
  assert all(changed)
  assert not np.allclose(training, head(features, training=False)[0])


def test_padding_rows_do_not_count_in_the_statistics():
  head, features = built()
  start = [variable.numpy() for variable in head.non_trainable_variables]
  expected = head(features[:, :2], training=True)
  statistics = [variable.numpy() for variable in head.non_trainable_variables]
  for variable, value in zip(head.non_trainable_variables, start):
    variable.assign(value)
  features[:, 2] = 100.0
  actual = head(features, training=True, valid=tf.constant([[True, True, False]] * 2))
  for x, y in zip(actual, expected):
    np.testing.assert_allclose(x[:, :2], y, atol=1e-5)
  for variable, value in zip(head.non_trainable_variables, statistics):
    np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6)


def test_a_batch_without_any_roi_leaves_finite_statistics():
  head, features = built()
  outputs = head(features, training=True, valid=tf.zeros([2, 3], bool))
  values = [*outputs, *head.non_trainable_variables]
  assert all(np.all(np.isfinite(value)) for value in values)


@pytest.mark.parametrize('norm_eval', [False, True])
def test_gradients_reach_every_variable(norm_eval):
  head, features = built(norm_eval)
  with tf.GradientTape() as tape:
    total = tf.add_n([tf.reduce_sum(x**2) for x in head(features, training=True)])
  gradients = tape.gradient(total, head.trainable_variables)
  assert all(np.any(gradient) for gradient in gradients)


def test_group_norms_take_the_place_of_batch_norms():
  head = ConvBoxHead(2, 6, NormOptions(), norm_groups=3, num_classes=3, num_fcs=1, fc_dims=7)
  features = np.random.default_rng(0).normal(size=_SHAPE).astype(np.float32)
  logits, deltas = head(features)
  x = tf.reshape(features, [-1, *_SHAPE[2:]])
  for conv in head._convs:
    groups = tf.reshape(tf.nn.conv2d(x, conv.conv.kernel, 1, 'SAME'), [6, 4, 4, 3, 2])
    mean, variance = tf.nn.moments(groups, [1, 2, 4], keepdims=True)
    x = tf.nn.relu(tf.reshape((groups - mean) / tf.sqrt(variance + 1e-5), [6, 4, 4, 6]))
  hidden = tf.nn.relu(head._fcs[0](tf.reshape(x, [2, 3, -1])))
  np.testing.assert_allclose(logits, head._logits(hidden), atol=1e-5)
  np.testing.assert_allclose(deltas, head._deltas(hidden), atol=1e-5)
  assert not head.non_trainable_variables
