"""Tests of the smooth L1 loss by hand-computed cases."""

import numpy as np
import tensorflow as tf

from htc_tf.losses import smooth_l1


def test_values_by_hand():
  differences = tf.constant([0.0, 0.25, -0.25, 0.5, -2.0])
  np.testing.assert_allclose(
    smooth_l1.smooth_l1(differences, 0.5), [0, 0.0625, 0.0625, 0.25, 1.75], rtol=1e-6
  )


def test_beta_0_is_the_l1_loss():
  differences = tf.constant([0.0, 1e-9, -0.25, 2.0])
  with tf.GradientTape() as tape:
    tape.watch(differences)
    losses = smooth_l1.smooth_l1(differences, 0.0)
  np.testing.assert_array_equal(losses, tf.abs(differences))
  np.testing.assert_array_equal(tape.gradient(losses, differences), [0, 1, -1, 1])


def test_gradient_is_continuous_and_at_most_one():
  differences = tf.constant([-3.0, -0.1, 0.0, 0.05, 0.1, 3.0])
  with tf.GradientTape() as tape:
    tape.watch(differences)
    losses = smooth_l1.smooth_l1(differences, 0.1)
  np.testing.assert_allclose(tape.gradient(losses, differences), [-1, -1, 0, 0.5, 1, 1], rtol=1e-6)
