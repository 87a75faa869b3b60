"""Tests of the recomputation of intermediate values in the backward pass."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops.recompute import recompute_in_backward


def _scaled_convolution(x, kernel, scale):
  return tf.nn.conv2d(x, kernel * scale, 1, 'SAME')


@pytest.fixture(name='inputs')
def _inputs():
  rng = np.random.default_rng(0)
  return [
    tf.constant(rng.standard_normal(shape), tf.float32)
    for shape in ([2, 5, 6, 3], [3, 3, 3, 4], [4])
  ]


def _value_and_gradients(function, inputs):
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    result = function(*inputs)
    loss = tf.reduce_sum(tf.sin(result))
  return result, *tape.gradient(loss, inputs)


@pytest.mark.parametrize(
  'options', [None, {}, {'jit_compile': True}], ids=['eager', 'graph', 'xla']
)
def test_value_and_gradients_equal_those_of_the_function(inputs, options):
  run = _value_and_gradients if options is None else tf.function(_value_and_gradients, **options)
  results = run(recompute_in_backward(_scaled_convolution), inputs)
  expected = _value_and_gradients(_scaled_convolution, inputs)
  for found, wanted in zip(results, expected):
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_an_input_without_gradient_gets_none(inputs):
  run = recompute_in_backward(lambda x, factor: x * tf.stop_gradient(factor))
  _, first, second = _value_and_gradients(run, [inputs[0], tf.constant(2.0)])
  np.testing.assert_allclose(first, 2 * np.cos(2 * inputs[0].numpy()), atol=1e-6)
  assert second is None


def test_the_backward_pass_reads_no_intermediate_value(inputs):
  graph = (
    tf.function(_value_and_gradients)
    .get_concrete_function(recompute_in_backward(_scaled_convolution), inputs)
    .graph
  )
  products = [
    op
    for op in graph.get_operations()
    if op.type == 'Mul' and op.outputs[0].shape == inputs[1].shape
  ]
  readers = [{reader.type for reader in op.outputs[0].consumers()} for op in products]
  assert {'Conv2D'} in readers  # product of the forward pass
  assert {'Conv2D', 'Conv2DBackpropInput', 'ShapeN'} in readers  # product of the backward pass


def test_the_recomputation_waits_for_the_gradient(inputs):
  graph = (
    tf.function(_value_and_gradients)
    .get_concrete_function(recompute_in_backward(_scaled_convolution), inputs)
    .graph
  )
  waiting = [op for op in graph.get_operations() if op.type == 'Identity' and op.control_inputs]
  assert len(waiting) >= len(inputs)
