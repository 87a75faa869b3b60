"""Tests of the mask head by hand-computed cases.

test_published_layout.py compares it with published values.
"""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.heads.mask_head import MaskHead


def test_mask_head_adds_the_previous_feature_after_a_convolution_and_relu():
  head = MaskHead(num_convs=0, num_filters=2, takes_previous=True)
  roi_features = tf.ones([1, 1, 1, 2])
  previous = tf.constant([[[[1.0, 2.0]]]])
  head(roi_features, previous)
  kernel, bias = head.trainable_variables
  kernel.assign([[[[1.0, -1.0], [2.0, -2.0]]]])
  bias.assign([0.5, 0.5])
  np.testing.assert_allclose(head(roi_features, previous)[0, 0, 0], [1 + 5.5, 1 + 0.0])
  np.testing.assert_allclose(head(roi_features)[0, 0, 0], [1, 1])


def test_mask_head_without_flow_ignores_the_previous_feature():
  head = MaskHead(num_convs=1, num_filters=2)
  x = tf.random.stateless_normal([1, 4, 4, 2], [1, 2])
  np.testing.assert_array_equal(head(x, 5 * x), head(x))
  assert len(head.trainable_variables) == 2


def test_group_norms_stand_between_each_convolution_and_its_relu():
  head = MaskHead(num_convs=1, num_filters=4, takes_previous=True, norm_groups=2)
  x, previous = (tf.random.stateless_normal([2, 3, 3, 4], [seed, 0]) for seed in (0, 1))
  outputs = head(x, previous)

  def normed(inputs, conv):
    groups = tf.reshape(tf.nn.conv2d(inputs, conv.kernel, 1, 'SAME'), [2, 3, 3, 2, 2])
    mean, variance = tf.nn.moments(groups, [1, 2, 4], keepdims=True)
    return tf.nn.relu(tf.reshape((groups - mean) / tf.sqrt(variance + 1e-5), [2, 3, 3, 4]))

  expected = normed(x + normed(previous, head._flow.conv), head._convs[0].conv)
  np.testing.assert_allclose(outputs, expected, atol=1e-5)
  assert len(head.trainable_variables) == 2 * 3
