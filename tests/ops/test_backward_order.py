"""Tests of the order of a backward pass."""

import time

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops.backward_order import run_backward_later


def recording(name, order, seconds=0.0):
  """Identity whose backward pass appends `name` to `order` after some seconds."""

  def record(upstream):
    time.sleep(seconds)
    order.append(name)
    return upstream

  @tf.custom_gradient
  def function(x):
    def gradient(upstream):
      # tf.function would run stateful operations in the order of tracing in any case.
      recorded = tf.numpy_function(record, [upstream], tf.float32, stateful=False)
      return tf.ensure_shape(recorded, x.shape)

    return tf.identity(x), gradient

  return function


@pytest.mark.parametrize('wrap', [lambda f: f, tf.function(autograph=False)])
def test_values_and_gradients_are_unchanged(wrap):
  weight = tf.constant([2.0, -3.0])

  @wrap
  def run():
    with tf.GradientTape() as tape:
      tape.watch(weight)
      shared = {'a': weight * 2, 'b': None}
      first = (weight * shared['a'], None)
      first, shared = run_backward_later(first, shared)
      second = shared['a'] * 5.0
      total = tf.reduce_sum(first[0]) + tf.reduce_sum(second)
    assert first[1] is None and shared['b'] is None
    return first[0], second, tape.gradient(total, weight)

  first, second, gradient = run()
  np.testing.assert_allclose(first, [8.0, 18.0])
  np.testing.assert_allclose(second, [20.0, -30.0])
  np.testing.assert_allclose(gradient, 4 * weight + 10.0)


def test_the_first_part_runs_backward_after_the_second():
  order = []

  @tf.function(autograph=False)
  def run(x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      first = recording('first', order)(x)
      first, x_again = run_backward_later(first, x)
      second = recording('second', order, seconds=0.1)(x_again)
      total = tf.reduce_sum(first) + tf.reduce_sum(second)
    return tape.gradient(total, x)

  np.testing.assert_array_equal(run(tf.ones([3])), [2.0, 2.0, 2.0])
  assert order == ['second', 'first']


def test_the_gradient_of_the_first_part_alone_requires_that_of_the_second():
  """TensorFlow runs only what a result depends on, so the test does not depend on timing."""
  order = []

  @tf.function(autograph=False)
  def run(x, weight):
    with tf.GradientTape() as tape:
      tape.watch(weight)
      first = recording('first', order)(weight)
      first, x_again = run_backward_later(first, x)
      second = recording('second', order)(x_again)
      total = tf.reduce_sum(first) + tf.reduce_sum(second)
    return tape.gradient(total, weight)

  np.testing.assert_array_equal(run(tf.ones([3]), tf.ones([3])), [1.0, 1.0, 1.0])
  assert order == ['second', 'first']


def test_nothing_needs_to_be_shared():
  x = tf.Variable(3.0)
  with tf.GradientTape() as tape:
    value, shared = run_backward_later(x * x, {})
  assert shared == {}
  assert tape.gradient(value, x) == 6.0
