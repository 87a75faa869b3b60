"""Tests of exports for other runtimes: the folder, its detector and the commands."""

import importlib.util
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

import htc_tf
from htc_tf.cli import export as command
from htc_tf.cli import predict
from htc_tf.data.images import image_from_pixels
from htc_tf.errors import CheckpointError, ConfigError, InputError
from htc_tf.serving import detectors, frame_export
from htc_tf.serving.frame import FrameRule
from htc_tf.serving.runtimes import registry, tflite_runtime
from tests.serving import frame_models, tiny_model

_SIZE = ['--height', '64', '--width', '96']


@pytest.fixture(scope='module', name='model_dir')
def _model_dir(tmp_path_factory):
  """A model directory whose configuration pads to the frame."""
  parser = {'min_sizes': [48], 'max_size': 96, 'buckets': [{'height': 64, 'width': 96}]}
  changes = {'validation_data': {'parser': parser}}
  return tiny_model.write(tmp_path_factory.mktemp('model'), changes=changes)


def test_the_command_offers_every_runtime():
  assert command._RUNTIMES == registry.NAMES


@pytest.fixture(scope='module', name='exported')
def _exported(model_dir, tmp_path_factory):
  pytest.importorskip('ai_edge_litert', reason='the extra htc_tf[runtimes] is not installed')
  folder = tmp_path_factory.mktemp('export') / 'tflite'
  arguments = ['--model', model_dir, '--format', 'tflite', '--output', str(folder), *_SIZE]
  assert command.main(arguments) == 0
  return folder


def test_the_folder_describes_the_frame_and_the_classes(exported):
  assert sorted(os.listdir(exported)) == ['categories.json', 'export.json', 'model.tflite']
  description = json.loads((exported / 'export.json').read_text())
  assert description['format'] == 'tflite' and description['precision'] == 'float32'
  frame = {'height': 64, 'width': 96, 'min_size': 48, 'max_size': 96}
  assert description['frame'] == {**frame, 'num_channels': 3, 'bits': 8}
  assert len(description['mean']) == len(description['stddev']) == 3
  assert description['inputs'] == [
    {'name': 'images', 'shape': [1, 64, 96, 3], 'dtype': 'uint8'},
    {'name': 'image_shape', 'shape': [1, 2], 'dtype': 'float32'},
  ]
  outputs = {entry['name']: (entry['shape'], entry['dtype']) for entry in description['outputs']}
  assert outputs['detection_boxes'] == ([1, 10, 4], 'float32')
  assert outputs['detection_masks'] == ([1, 10, 28, 28], 'float32')
  assert outputs['num_detections'] == ([1], 'int32')
  categories = json.loads((exported / 'categories.json').read_text())
  assert categories['1'] == {'id': 7, 'name': 'cat'}


@pytest.mark.parametrize('size', [(64, 96), (100, 70), (20, 25)])
def test_the_detector_finds_what_the_model_finds(model_dir, exported, size):
  image = image_from_pixels(frame_models.image(*size))
  expected = detectors.load_detector(model_dir).detect([image])[0]
  loaded = detectors.load_detector(str(exported))
  assert loaded.category_names == ['cat', 'dog'] and loaded.category_ids == [7, 30]
  found = loaded.detect([image])[0]
  np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
  np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
  np.testing.assert_array_equal(found.classes, expected.classes)
  assert len(found.rles) == len(expected.rles) > 0


def test_masks_have_the_threshold_of_the_export(exported, tmp_path):
  image = image_from_pixels(frame_models.image(64, 96))
  areas = []
  for threshold in (None, 0.3, 0.5, 0.8):
    folder = tmp_path / str(threshold)
    shutil.copytree(exported, folder)
    content = json.loads((folder / 'export.json').read_text())
    if threshold is not None:
      (folder / 'export.json').write_text(json.dumps({**content, 'mask_threshold': threshold}))
    found = detectors.load_detector(str(folder)).detect([image])[0]
    areas.append(mask_utils.area(found.rles).sum())
  default, low, published, high = areas
  assert low > published > high and default == published


@pytest.mark.parametrize('threshold', [0, 1.5, 'half'])
def test_a_threshold_out_of_range_is_an_error(exported, tmp_path, threshold):
  shutil.copytree(exported, tmp_path / 'export')
  content = json.loads((exported / 'export.json').read_text())
  content['mask_threshold'] = threshold
  (tmp_path / 'export' / 'export.json').write_text(json.dumps(content))
  with pytest.raises(InputError, match='threshold of the masks'):
    detectors.load_detector(str(tmp_path / 'export'))


def test_the_command_predicts_with_an_export(exported, tmp_path, capsys):
  Image.fromarray(frame_models.image(50, 60)).save(tmp_path / 'a.png')
  arguments = [f'--model={exported}', f'--output={tmp_path / "out"}', '--score_threshold=0.01']
  assert predict.main([*arguments, str(tmp_path / 'a.png')]) == 0
  printed = capsys.readouterr()
  assert 'objects' in printed.out and 'next: htc-export' not in printed.out + printed.err


def _refused(arguments, capsys):
  assert command.main(arguments) == 2
  return capsys.readouterr().err


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--height', '64'], 'saved_model does not have --height'),
    (['--format', 'tflite', '--masks', 'full', '--no_warmup'], 'have --masks and --no_warmup'),
    (['--format', 'tflite', '--height', '60'], 'multiples of 32'),
    (['--format', 'tflite', '--tta', 'flip', *_SIZE], 'mirrored views'),
    (['--format', 'tflite', '--output', 'gs://bucket/export'], 'remote'),
    (['--calibration_images', '.'], 'saved_model does not have --calibration_images'),
    (['--format', 'tflite', '--calibration_images', '.'], 'one of the formats onnx. Got: tflite'),
    (['--format', 'onnx', '--calibration_images', 'not/there'], 'not/there does not exist'),
    (['--format', 'onnx', '--calibration_images', 'htc_tf'], 'There are no images'),
    (['--format', 'openvino', '--calibration_images', '.'], 'has no 8 bits'),
  ],
)
def test_an_impossible_export_is_one_clear_error(model_dir, tmp_path, capsys, arguments, message):
  output = str(tmp_path / 'out')
  assert message in _refused(['--model', model_dir, '--output', output, *arguments], capsys)
  assert not os.listdir(tmp_path)


def test_a_missing_package_is_an_error_before_the_model_is_loaded(tmp_path, capsys, monkeypatch):
  find = importlib.util.find_spec
  monkeypatch.setattr(importlib.util, 'find_spec', lambda n: None if n == 'tf2onnx' else find(n))
  arguments = ['--model', str(tmp_path / 'none'), '--output', str(tmp_path / 'out')]
  message = _refused([*arguments, '--format', 'onnx'], capsys)
  assert 'no tf2onnx' in message and 'htc_tf[runtimes]' in message


def _with_8_bits(monkeypatch):
  """A list that gets the frames of exports to a runtime that has 8 bits."""
  found = []

  def convert(graph, folder, frames):
    found.extend(frames)
    tflite_runtime.files.write_bytes(os.path.join(folder, tflite_runtime.MODEL_FILE), b'8 bits')

  runtime = tflite_runtime.RUNTIME._replace(convert_to_int8=convert, packages_to_run=())
  monkeypatch.setattr(frame_export.registry, 'find', lambda _: runtime)
  return found


def test_8_bits_get_the_images_in_the_frame(model_dir, tmp_path, monkeypatch, caplog):
  frames, images = _with_8_bits(monkeypatch), tmp_path / 'images'
  images.mkdir()
  Image.fromarray(frame_models.image(64, 96)).save(images / 'a.png')
  Image.fromarray(frame_models.image(30, 20)).save(images / 'b.png')
  arguments = ['--model', model_dir, '--format', 'tflite', '--output', str(tmp_path / 'out')]
  assert command.main([*arguments, *_SIZE, '--calibration_images', str(images)]) == 0
  assert [inputs['images'].shape for inputs in frames] == [(1, 64, 96, 3)] * 2
  assert frames[0]['images'].any()
  assert not np.array_equal(frames[0]['image_shape'], frames[1]['image_shape'])
  content = json.loads((tmp_path / 'out' / 'export.json').read_text())
  assert content['precision'] == 'int8'
  assert 'come from 2 images; from 50 on' in caplog.text


def test_an_image_for_8_bits_that_cannot_be_read_ends_the_export(
  model_dir, tmp_path, monkeypatch, capsys
):
  _with_8_bits(monkeypatch)
  (tmp_path / 'a.png').write_bytes(b'no image')
  arguments = ['--model', model_dir, '--format', 'tflite', '--output', str(tmp_path / 'out')]
  message = _refused([*arguments, *_SIZE, '--calibration_images', str(tmp_path / 'a.png')], capsys)
  assert 'a.png cannot be read' in message
  assert os.listdir(tmp_path) == ['a.png']


def test_a_failed_conversion_leaves_nothing(model_dir, tmp_path, monkeypatch):
  def fail(*_):
    raise RuntimeError('no conversion')

  failing = tflite_runtime.RUNTIME._replace(convert=fail)
  monkeypatch.setattr(frame_export.registry, 'find', lambda _: failing)
  with pytest.raises(ConfigError, match=r'cannot be converted to TFLite.*Got: no conversion'):
    frame_export.export_frame_model(htc_tf.load_model(model_dir), str(tmp_path / '1'), 'tflite')
  assert not os.listdir(tmp_path)


def test_options_of_model_directories_are_rejected(exported):
  for options in (
    {'tta': 'flip'},
    {'params_override': ['task.model.num_classes=3']},
    {'experiment': 'htc_nuclei'},
  ):
    with pytest.raises(InputError, match=f'without these options.*--{next(iter(options))}'):
      detectors.load_detector(str(exported), **options)


@pytest.mark.parametrize(
  'name, content, error, message',
  [
    ('model.tflite', b'half', CheckpointError, 'model.tflite cannot be loaded'),
    ('export.json', b'{', InputError, 'export.json cannot be read'),
    ('export.json', b'{"format": "tflite"}', InputError, 'format, and frame'),
    ('export.json', b'{"format": "tflite", "frame": {"height": 64}}', InputError, 'frame'),
    ('export.json', b'{"format": "x", "frame": FRAME}', InputError, 'one of onnx'),
    ('export.json', b'{"format": "tflite", "frame": ZEROS}', InputError, 'export.json cannot be'),
  ],
)
def test_a_damaged_export_is_an_error(exported, tmp_path, name, content, error, message):
  folder = tmp_path / 'damaged'
  shutil.copytree(exported, folder)
  frame = json.dumps(json.loads((exported / 'export.json').read_text())['frame']).encode()
  content = content.replace(b'FRAME', frame).replace(b'ZEROS', frame.replace(b'64', b'0'))
  (folder / name).write_bytes(content)
  with pytest.raises(error, match=message):
    detectors.load_detector(str(folder))


@pytest.mark.parametrize(
  'frame, reduced',
  [
    ((1344, 1344), ''),
    ((800, 1344), 'upright images to 0.60 of'),
    ((1344, 800), 'wide images to 0.60 of'),
    ((416, 672), 'wide images to 0.50 and upright images to 0.31 of'),
  ],
)
def test_a_frame_that_reduces_images_is_told_with_one_that_does_not(caplog, frame, reduced):
  frame_export._warn_of_reduced_images(FrameRule(*frame, 800, 1333))
  assert ('reduces ' + reduced if reduced else '') in caplog.text
  assert ('one of 1333x1333' in caplog.text) == bool(reduced)


def test_the_default_frame_is_that_of_the_images_of_the_model(model_dir, tmp_path, monkeypatch):
  rules = []

  def convert(runtime, graph, folder, frames):
    rules.append(graph.rule)

  monkeypatch.setattr(frame_export.base, 'check_installed', lambda *args: None)
  monkeypatch.setattr(frame_export, '_convert', convert)
  predictor = htc_tf.load_model(model_dir)
  frame_export.export_frame_model(predictor, str(tmp_path / 'default'), 'onnx')
  frame_export.export_frame_model(predictor, str(tmp_path / 'square'), 'onnx', height=96)
  assert [(rule.height, rule.width) for rule in rules] == [(64, 96), (96, 96)]
