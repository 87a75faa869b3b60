"""Tests of the global context head and its residual convolutions by hand."""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.heads.global_context_head import GlobalContextHead
from htc_tf.modeling.layers.residual_convs import ResidualConvs


def test_residual_convolutions_add_to_their_input_without_a_last_relu():
  convs = ResidualConvs(1)
  x = tf.constant([[[[2.0]]], [[[-3.0]]]])
  convs(x)
  for conv, center, bias in ((convs.conv1, 2.0, 1.0), (convs.conv2, -4.0, 0.5)):
    kernel = np.zeros([3, 3, 1, 1])
    kernel[1, 1] = center
    conv.kernel.assign(kernel)
    conv.bias.assign([bias])
  # 2 - 4 * relu(2 * 2 + 1) + 0.5, and -3 - 4 * relu(-5) + 0.5.
  np.testing.assert_allclose(tf.squeeze(convs(x)), [2 - 20 + 0.5, -2.5])


def test_the_feature_is_the_mean_of_the_coarsest_level():
  head = GlobalContextHead(num_classes=4, num_convs=0, num_filters=2)
  pyramid = {'2': tf.ones([1, 8, 8, 2]), '10': tf.reshape(tf.range(12.0), [1, 2, 3, 2])}
  feature = head(pyramid)
  np.testing.assert_allclose(feature, [[5.0, 6.0]])
  head._logits.kernel.assign([[1.0, 0, 2], [0, 1, 0]])
  head._logits.bias.assign([0.0, 0, 1])
  np.testing.assert_allclose(head.classify(feature), [[5, 6, 11]])


def test_the_classifier_has_its_variables_before_it_is_called():
  head = GlobalContextHead(num_classes=4, num_convs=4, num_filters=2)
  head({'3': tf.zeros([1, 4, 4, 2])})
  assert len(head.trainable_variables) == 2 * 4 + 2
