"""Tests of stochastic depth by its statistics."""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.layers.drop_path import drop_factors, scale_branch


def test_branches_are_dropped_at_their_rate_and_the_mean_is_kept():
  tf.random.set_seed(1)
  factors = drop_factors(0.25, tf.constant(2000), 2).numpy()
  assert factors.shape == (2, 2000)
  np.testing.assert_array_equal(np.unique(factors), np.float32([0, 1 / 0.75]))
  np.testing.assert_allclose(np.mean(factors, 1), 1.0, atol=0.05)
  assert abs(np.corrcoef(factors)[0, 1]) < 0.1  # The two branches are dropped independently.


def test_a_factor_acts_on_its_whole_image():
  x = tf.ones([2, 3, 4, 5], tf.bfloat16)
  scaled = scale_branch(x, tf.constant([0.0, 2.0]))
  assert scaled.dtype == tf.bfloat16
  np.testing.assert_array_equal(tf.cast(scaled, tf.float32)[0], np.zeros([3, 4, 5]))
  np.testing.assert_array_equal(tf.cast(scaled, tf.float32)[1], np.full([3, 4, 5], 2))
  assert scale_branch(x, None) is x
