"""Tests of functions whose weights are constants of their graph."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.training import saver

from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.standardized_conv import StandardizedConv2D
from htc_tf.modeling.layers.switchable_conv import SwitchableConv2D
from htc_tf.serving import frozen_weights
from tests.graph_operations import operation_types

SPEC = tf.TensorSpec([None, 3])


@pytest.fixture(name='weights')
def _weights():
  return tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def _function(weights):
  @tf.custom_gradient
  def doubled(x):
    return 2 * x, lambda upstream: upstream

  def product(x):
    return tf.matmul(doubled(x), weights)

  def run(x, others):
    looped = tf.while_loop(
      lambda i, _: i < 3, lambda i, y: (i + 1, y + product(x)), (0, product(x))
    )
    pair = (others[0] + 1 if others else x, tf.reduce_sum(weights))
    return {'sum': looped[1], 'pair': pair}

  return run


def test_results_and_their_structure_stay(weights):
  frozen = frozen_weights.with_constant_weights(
    _function(weights), [SPEC, (tf.TensorSpec([]),)], [weights]
  )
  x = tf.constant([[1.0, 0, 2]])
  expected, found = _function(weights)(x, (tf.constant(4.0),)), frozen(x, (tf.constant(4.0),))
  tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
  weights.assign(tf.zeros_like(weights))  # Later changes have no effect.
  tf.nest.map_structure(np.testing.assert_array_equal, frozen(x, (tf.constant(4.0),)), expected)


def test_a_graph_without_variables_is_saved_and_loaded(weights, tmp_path):
  frozen = frozen_weights.with_constant_weights(_function(weights), [SPEC, ()], [weights])
  module = tf.Module()
  module.run = tf.function(lambda x: frozen(x, ())['sum'], input_signature=[SPEC], autograph=False)
  names = operation_types(module.run.get_concrete_function())
  assert 'ReadVariableOp' not in names
  tf.saved_model.save(module, str(tmp_path / 'saved'))
  loaded = tf.saved_model.load(str(tmp_path / 'saved'))
  x = tf.constant([[1.0, 0, 2]])
  np.testing.assert_array_equal(loaded.run(x), frozen(x, ())['sum'])
  stored = tf.train.list_variables(str(tmp_path / 'saved' / 'variables' / 'variables'))
  assert [name for name, _ in stored] == ['_CHECKPOINTABLE_OBJECT_GRAPH']


@pytest.mark.parametrize('kind', [StandardizedConv2D, SwitchableConv2D])
def test_standardized_kernels_are_computed_once(kind):
  """TensorFlow's optimizer leaves no operation of the standardization in the graph."""
  conv, norm = kind(6, 3, use_bias=False), BatchNorm(norm_eval=True)
  build_conv_norm(conv, norm, [1, None, None, 4])
  spec = tf.TensorSpec([1, None, None, 4])
  frozen = frozen_weights.with_constant_weights(
    lambda x: conv_norm(x, conv, norm), [spec], conv.weights + norm.weights
  )
  traced = tf.function(frozen, input_signature=[spec], autograph=False).get_concrete_function()
  assert 'Sqrt' in _all_operations(traced.graph.as_graph_def())
  assert not {'Sqrt', 'Rsqrt', 'Square'} & _all_operations(_optimized(traced))


def _all_operations(graph):
  nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
  return {node.op for node in nodes}


def _optimized(function):
  """The graph as TensorFlow's optimizer changes it before the first call."""
  meta_graph = saver.export_meta_graph(
    graph_def=function.graph.as_graph_def(), graph=function.graph
  )
  fetched = meta_graph.collection_def['train_op'].node_list.value
  fetched.extend(tensor.name for tensor in function.outputs)
  return tf_optimizer.OptimizeGraph(config_pb2.ConfigProto(), meta_graph)


def test_several_models_of_a_process_have_functions_of_their_own(weights):
  run, x = _function(weights), tf.constant([[1.0, 0, 2]])
  expected, found = [], []
  for factor in (1.0, 2.0):
    weights.assign(weights * factor)
    frozen = frozen_weights.with_constant_weights(run, [SPEC, ()], [weights])
    expected.append(run(x, ())['sum'])
    found.append(frozen(x, ())['sum'])
  np.testing.assert_array_equal(found, expected)
  assert not np.array_equal(*found)


def test_weights_that_no_graph_can_hold_stay_variables(weights, monkeypatch):
  monkeypatch.setattr(frozen_weights, 'MAX_BYTES', 6 * 4 - 1)
  assert not frozen_weights.fit([weights])
  kept = frozen_weights.with_constant_weights(_function(weights), [SPEC, ()], [weights])
  weights.assign(tf.zeros_like(weights))
  assert not np.any(kept(tf.constant([[1.0, 0, 2]]), ())['sum'])
  monkeypatch.setattr(frozen_weights, 'MAX_BYTES', 6 * 4)
  assert frozen_weights.fit([weights])
