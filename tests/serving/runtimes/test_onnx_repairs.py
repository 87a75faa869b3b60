"""Tests of the repairs of ONNX models by hand."""

import numpy as np
import pytest

from htc_tf.serving.runtimes import onnx_repairs

onnx = pytest.importorskip('onnx', reason='the extra htc_tf[runtimes] is not installed')


def _tensor(name, values, dtype=np.int64):
  return onnx.numpy_helper.from_array(np.array(values, dtype), name)


def _value(name, kind=onnx.TensorProto.FLOAT, shape=('height', 'width')):
  return onnx.helper.make_tensor_value_info(name, kind, shape)


def _evaluate(graph, inputs):
  model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)])
  onnx.checker.check_model(model)
  from onnx.reference import ReferenceEvaluator

  return ReferenceEvaluator(model).run(None, inputs)


def _unsqueeze(axes):
  node = onnx.helper.make_node('Unsqueeze', ['x', 'axes'], ['y'])
  return onnx.helper.make_graph([node], 'g', [_value('x')], [_value('y')], [_tensor('axes', axes)])


def test_an_unsqueeze_without_axes_becomes_an_identity():
  graph = _unsqueeze([])
  onnx_repairs.repair(graph)
  assert [node.op_type for node in graph.node] == ['Identity'] and not graph.initializer
  x = np.ones([2, 3], np.float32)
  np.testing.assert_array_equal(_evaluate(graph, {'x': x})[0], x)


def test_an_unsqueeze_with_axes_is_kept():
  graph = _unsqueeze([1])
  before = graph.SerializeToString()
  onnx_repairs.repair(graph)
  assert graph.SerializeToString() == before


def _loop():
  """A loop that adds `step` three times; its body returns its input `step` unchanged."""
  body = onnx.helper.make_graph(
    [
      onnx.helper.make_node('Identity', ['condition'], ['goes_on']),
      onnx.helper.make_node('Add', ['total', 'step'], ['sum']),
    ],
    'body',
    [
      _value('number', onnx.TensorProto.INT64, []),
      _value('condition', onnx.TensorProto.BOOL, []),
      _value('total', shape=[2]),
      _value('step', shape=[2]),
    ],
    [
      _value('goes_on', onnx.TensorProto.BOOL, []),
      _value('sum', shape=[2]),
      _value('step', shape=[2]),
    ],
  )
  loop = onnx.helper.make_node('Loop', ['times', 'true', 'x', 'x'], ['y', 'same'], body=body)
  return onnx.helper.make_graph(
    [loop],
    'g',
    [_value('x', shape=[2])],
    [_value('y', shape=[2]), _value('same', shape=[2])],
    [_tensor('times', 3), _tensor('true', True, bool)],
  )


def test_a_loop_returns_copies_of_its_inputs():
  graph = _loop()
  onnx_repairs.repair(graph)
  body = graph.node[0].attribute[0].g
  assert not {output.name for output in body.output} & {value.name for value in body.input}
  x = np.array([1, 2], np.float32)
  for actual, factor in zip(_evaluate(graph, {'x': x}), (4, 1)):
    np.testing.assert_array_equal(actual, factor * x)


def test_openvino_computes_a_repaired_loop():
  openvino = pytest.importorskip('openvino', reason='the extra htc_tf[runtimes] is not installed')
  graph = _loop()
  onnx_repairs.repair(graph)
  model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)])
  read = openvino.Core().read_model(model.SerializeToString(), b'')
  outputs = openvino.Core().compile_model(read, 'CPU')({'x': np.array([1, 2], np.float32)})
  np.testing.assert_allclose(outputs[0], [4, 8])
  np.testing.assert_allclose(outputs[1], [1, 2])


def test_nodes_follow_those_whose_outputs_a_graph_inside_them_reads():
  """`If` reads `y` only inside its branches, and stands before the node that makes it."""

  def branch(name):
    node = onnx.helper.make_node('Identity', [name], [f'{name}_chosen'])
    return onnx.helper.make_graph([node], name, [], [_value(f'{name}_chosen')])

  choice = onnx.helper.make_node(
    'If', ['positive'], ['z'], then_branch=branch('y'), else_branch=branch('x')
  )
  nodes = [
    choice,
    onnx.helper.make_node('Neg', ['w'], ['y']),
    onnx.helper.make_node('Abs', ['x'], ['w']),
  ]
  inputs = [_value('x'), _value('positive', onnx.TensorProto.BOOL, [])]
  graph = onnx.helper.make_graph(nodes, 'g', inputs, [_value('z')])
  onnx_repairs.sort(graph)
  assert [node.op_type for node in graph.node] == ['Abs', 'Neg', 'If']
  x = np.array([[1.0, -2.0]], np.float32)
  for positive, expected in ((True, -np.abs(x)), (False, x)):
    found = _evaluate(graph, {'x': x, 'positive': np.array(positive)})[0]
    np.testing.assert_array_equal(found, expected)
