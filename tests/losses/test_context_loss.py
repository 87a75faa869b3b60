"""Tests of the loss of the global context branch by hand."""

import numpy as np
import tensorflow as tf

from htc_tf.losses.context_loss import context_loss


def test_classes_of_the_image_are_positive_once():
  """Two objects of class 3 and one of class 1; the second image has no object."""
  logits = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], np.float32)
  classes = tf.constant([[3, 1, 3, -1], [-1, -1, -1, -1]])
  present = np.array([[1, 0, 1], [0, 0, 0]])
  probs = 1 / (1 + np.exp(-logits))
  expected = -np.mean(present * np.log(probs) + (1 - present) * np.log(1 - probs))
  np.testing.assert_allclose(context_loss(tf.constant(logits), classes), expected, rtol=1e-6)


def test_without_rows_of_objects_no_class_is_positive():
  found = context_loss(tf.zeros([1, 2]), tf.zeros([1, 0], tf.int32))
  np.testing.assert_allclose(found, np.log(2), rtol=1e-6)


def test_16_bit_logits_give_a_float32_loss():
  assert context_loss(tf.zeros([1, 2], tf.bfloat16), tf.constant([[1]])).dtype == tf.float32
