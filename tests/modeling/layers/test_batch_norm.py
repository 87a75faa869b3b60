"""Tests of frozen batch norm."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.batch_norm import BatchNorm


@pytest.mark.parametrize('norm_eval', [True, False])
def test_training_uses_and_updates_statistics_unless_they_are_frozen(norm_eval):
  layer = BatchNorm(norm_eval=norm_eval, momentum=0.9, epsilon=0.0)
  x = tf.constant([1.0, 3.0], shape=[2, 1, 1, 1])  # mean 2, variance 1
  layer.build(x.shape)
  actual = np.ravel(layer(x, training=True))
  np.testing.assert_allclose(actual, [1, 3] if norm_eval else [-1, 1], rtol=1e-5)
  np.testing.assert_allclose(layer.moving_mean, [0.0 if norm_eval else 0.2], rtol=1e-5)
  assert [weight.name for weight in layer.trainable_weights] == ['gamma:0', 'beta:0']
