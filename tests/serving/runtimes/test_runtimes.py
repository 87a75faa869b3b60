"""Tests of detection in other runtimes than TensorFlow against the predictor.

They need the extra htc_tf[runtimes]; `make test-runtimes` installs it in a folder of its own.
"""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.errors import ConfigError, InputError
from htc_tf.modeling.heads.mask_predictor import MaskPredictor
from htc_tf.ops import plain, roi_pooling
from htc_tf.ops.roi_view import View
from htc_tf.serving.runtimes import base, onnx_int8, onnx_runtime, registry
from tests.serving import frame_models

pytestmark = [
  # tf2onnx uses deprecated functions of NumPy, ONNX and TensorFlow.
  pytest.mark.filterwarnings('ignore::DeprecationWarning'),
  pytest.mark.filterwarnings('ignore::FutureWarning'),
  pytest.mark.filterwarnings('ignore::UserWarning'),
]


def _runtime(name):
  runtime = registry.find(name)
  for package in (*runtime.packages_to_convert, *runtime.packages_to_run):
    pytest.importorskip(package, reason='the extra htc_tf[runtimes] is not installed')
  return runtime


class _Converted:
  """Predictors and graphs by layout; each ONNX model is made once, because that takes a minute."""

  def __init__(self):
    self._cases, self._onnx_models = {}, {}

  def case(self, layout):
    if layout not in self._cases:
      num_stages, changes = {
        **frame_models.LAYOUTS,
        'no detections': (1, {'detection_generator': {'score_threshold': 0.9999}}),
      }[layout]
      predictor = frame_models.predictor(num_stages, **changes)
      self._cases[layout] = predictor, frame_models.graph(predictor)
    return self._cases[layout]

  def onnx_model(self, graph, roi_align=False, make=onnx_runtime.onnx_model):
    key = graph, roi_align
    if key not in self._onnx_models:
      self._onnx_models[key] = make(graph, roi_align)
    return self._onnx_models[key]


@pytest.fixture(scope='module', name='converted')
def _converted():
  return _Converted()


def _load(converted, runtime, layout, tmp_path, monkeypatch):
  predictor, graph = converted.case(layout)
  monkeypatch.setattr(onnx_runtime, 'onnx_model', converted.onnx_model)
  runtime.convert(graph, str(tmp_path))
  return predictor, graph.rule, runtime.load(str(tmp_path / runtime.model_file))


@pytest.mark.parametrize(
  'layout',
  [
    'three stages',
    pytest.param('two stages without masks', marks=pytest.mark.slow),
    pytest.param('one stage without semantic branch', marks=pytest.mark.slow),
  ],
)
@pytest.mark.parametrize('name', registry.NAMES)
def test_detections_are_those_of_the_predictor(name, layout, converted, tmp_path, monkeypatch):
  runtime = _runtime(name)
  predictor, rule, run = _load(converted, runtime, layout, tmp_path, monkeypatch)
  # The size of the frame, a larger image, and two that are smaller than the frame.
  for size in ((64, 96), (180, 240), (30, 30), (70, 20)):
    found = frame_models.check_equal(run, predictor, rule, frame_models.image(*size))
    assert found > 0


@pytest.mark.parametrize('name', registry.NAMES)
def test_an_image_without_detections_has_rows_of_zeros(name, converted, tmp_path, monkeypatch):
  runtime = _runtime(name)
  predictor, rule, run = _load(converted, runtime, 'no detections', tmp_path, monkeypatch)
  assert frame_models.check_equal(run, predictor, rule, frame_models.image(64, 96)) == 0


class _Pooling(tf.Module):
  """RoIAlign of two fixed maps of the strides 4 and 8, in the form of a `FrameGraph`.

  Args:
    size: number of bins along an axis.
    views: function from the number of RoIs to the views.
  """

  def __init__(self, size, views):
    super().__init__()
    rng = np.random.default_rng(0)
    maps = {
      name: rng.normal(size=[1, side, side, 4]).astype(np.float32)
      for name, side in (('fine', 28), ('coarse', 14))
    }
    self.signature = [tf.TensorSpec([1, 5, 4], tf.float32, 'rois')]

    def pool(rois):
      # Constants of the graph: converters take captured ones for inputs.
      table = roi_pooling.feature_table(tf.nest.map_structure(tf.constant, maps))
      return {'pooled': roi_pooling.pool(table, rois, views(5), size)}

    self.expected = tf.function(pool, autograph=False)

    def detect(rois):
      with plain.only_plain_operations():
        return pool(rois)

    self.detect = tf.function(detect, autograph=False, input_signature=self.signature)


def _fine(num_rois):
  return [View(tf.zeros([num_rois], tf.int32), tf.fill([num_rois], 4.0), (0,))]


def _both_and_coarse(num_rois):
  """RoIs of both maps, and finer bins from the coarse map."""
  maps = tf.range(num_rois) % 2
  both = View(maps, 4.0 * 2.0 ** tf.cast(maps, tf.float32), (0, 1))
  return [both, View(tf.ones([num_rois], tf.int32), tf.fill([num_rois], 8.0), (1,), 2)]


def _check_pooling(runtime, pooling, rois, tmp_path):
  rois = np.asarray(rois, np.float32)[np.newaxis]
  runtime.convert(pooling, str(tmp_path))
  run = runtime.load(str(tmp_path / runtime.model_file))
  expected = pooling.expected(tf.constant(rois))['pooled']
  assert np.abs(expected).max() > 0.1
  np.testing.assert_allclose(run({'rois': rois})['pooled'], expected, atol=1e-5)


@pytest.mark.parametrize('name', registry.NAMES)
def test_bins_of_a_whole_number_of_pixels_take_no_further_sample(name, tmp_path):
  # Bins of exactly 1, 2, 3 and 4 pixels: after a rounded division they would take a sample more.
  sides = np.array([28, 56, 84, 112, 49], np.float32)
  rois = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1)
  _check_pooling(_runtime(name), _Pooling(7, _fine), rois, tmp_path)


@pytest.mark.parametrize('name', registry.NAMES)
def test_rois_of_several_maps_are_pooled_as_in_tensorflow(name, tmp_path):
  rois = [
    [10, 0, 11, 112],
    [-20, -30, 140, 70],
    [-1, -1, -1, -1],  # A padding row.
    [40, 50, 40, 90],  # No height.
    [200, 300, 260, 390],  # Outside.
  ]
  _check_pooling(_runtime(name), _Pooling(3, _both_and_coarse), rois, tmp_path)


_KERNELS = ([3, 3, 3, 8], [3, 3, 8, 4])


class _Convolutions(tf.Module):
  """Two convolutions of an image, and a loop that reads the first one, as a `FrameGraph`."""

  def __init__(self):
    super().__init__()
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=shape).astype(np.float32) for shape in _KERNELS]
    self.signature = [tf.TensorSpec([1, 16, 24, 3], tf.uint8, 'images')]

    def detect(images):
      x = tf.cast(images, tf.float32) / 255.0
      x = tf.nn.relu(tf.nn.conv2d(x, kernels[0], 1, 'SAME'))
      # The graph of the loop reads its rows from outside.
      rows = tf.map_fn(tf.reduce_sum, tf.exp(-x[0]))
      return {'x': tf.nn.conv2d(x, kernels[1], 1, 'SAME'), 'rows': rows}

    self.detect = tf.function(detect, autograph=False, input_signature=self.signature)


def test_convolutions_in_8_bits_are_those_of_float32_up_to_steps_of_their_ranges(tmp_path):
  runtime, graph = _runtime('onnx'), _Convolutions()
  rng = np.random.default_rng(1)
  images = [rng.integers(0, 256, [1, 16, 24, 3], np.uint8) for _ in range(5)]
  runtime.convert_to_int8(graph, str(tmp_path), [{'images': image} for image in images[1:]])
  found = runtime.load(str(tmp_path / runtime.model_file))({'images': images[0]})
  for name, expected in graph.detect(tf.constant(images[0])).items():
    error = np.abs(found[name] - expected).max() / np.abs(expected).max()
    assert 1e-5 < error < 0.04, name


def test_an_onnx_model_in_8_bits_has_quantized_inputs_of_convolutions():
  _runtime('onnx')
  frames = [{'images': np.full([1, 16, 24, 3], 90, np.uint8)}]
  graph = onnx_int8.quantized(onnx_runtime.onnx_model(_Convolutions()), frames).graph
  made_by = {output: node.op_type for node in graph.node for output in node.output}
  convolutions = [node for node in graph.node if node.op_type == 'Conv']
  assert len(convolutions) == 2
  for node in convolutions:
    assert [made_by[name] for name in node.input[:2]] == ['DequantizeLinear'] * 2


class _Crops(tf.Module):
  """An operation of the type of the marks of RoIAlign that is none, as a `FrameGraph`."""

  def __init__(self):
    super().__init__()
    self.signature = [tf.TensorSpec([1, 6, 8, 2], tf.float32, 'x')]

    def detect(x):
      return {'crops': tf.image.crop_and_resize(x, [[0.0, 0.0, 0.5, 1.0]], [0], [2, 3])}

    self.detect = tf.function(detect, autograph=False, input_signature=self.signature)


def test_other_crops_are_not_taken_for_marks_of_roi_align():
  _runtime('onnx')
  with pytest.raises(Exception, match='No Op registered for CropAndResize'):
    onnx_runtime.onnx_model(_Crops(), roi_align=True)


class _SevenClasses(tf.Module):
  """Masks of seven classes, in the form of a `FrameGraph`."""

  def __init__(self):
    super().__init__()
    features = np.random.default_rng(0).normal(size=[9, 3, 3, 4]).astype(np.float32)
    predictor = MaskPredictor(num_classes=8, num_filters=4)
    self.signature = [tf.TensorSpec([9], tf.int32, 'classes')]
    self.expected = lambda classes: predictor(tf.constant(features), classes)
    self.expected(tf.ones([9], tf.int32))  # It builds the layer.
    self.predictor = predictor

    def detect(classes):
      return {'logits': self.expected(classes)}

    self.detect = tf.function(detect, autograph=False, input_signature=self.signature)


def test_masks_of_seven_classes_convert_to_tflite(tmp_path):
  """Its converter makes a Relu6 of every minimum with 6 of a maximum with 0."""
  runtime, graph = _runtime('tflite'), _SevenClasses()
  runtime.convert(graph, str(tmp_path))
  classes = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9], np.int32)
  found = runtime.load(str(tmp_path / runtime.model_file))({'classes': classes})['logits']
  np.testing.assert_allclose(found, graph.expected(tf.constant(classes)), atol=1e-5)
  np.testing.assert_allclose(found[8], graph.expected(tf.fill([9], 7))[8], atol=1e-5)


def test_no_pass_of_the_conversion_to_onnx_copies_constants(monkeypatch):
  _runtime('onnx')
  from tf2onnx.graph import Node

  update_proto, of_constants = Node.update_proto, []

  def record(node, *arguments, **keywords):
    of_constants.append(node.is_const())
    update_proto(node, *arguments, **keywords)

  monkeypatch.setattr(Node, 'update_proto', record)
  model = onnx_runtime.onnx_model(_SevenClasses())
  assert len(model.graph.initializer) > 1
  assert of_constants and not any(of_constants)
  assert Node.update_proto is record


def test_an_unknown_runtime_is_rejected():
  with pytest.raises(InputError, match=r'one of onnx, openvino, tflite.*Got: .coreml.'):
    registry.find('coreml')


def test_a_missing_package_is_named_with_the_extra():
  with pytest.raises(ConfigError, match=r"no not_there.*pip install 'htc_tf\[runtimes\]'"):
    base.check_installed('ONNX', ('numpy', 'not_there'))
  base.check_installed('ONNX', ('numpy',))
