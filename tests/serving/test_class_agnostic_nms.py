"""Tests of tiles of models whose NMS acts across classes: every form of a model says so."""

import json
import types

import numpy as np
import pytest

import htc_tf
from htc_tf.data import images
from htc_tf.errors import InputError
from htc_tf.serving import (
  client,
  detect_images,
  detectors,
  frame_detector,
  frame_export,
  predict_files,
)
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.batch_detection import in_batches
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.members import Ensemble
from htc_tf.serving.runtimes import registry
from htc_tf.serving.target import Target
from htc_tf.serving.tiling import Tiling
from tests.serving import color_detector, frame_models

_OVERRIDE = 'task.model.detection_generator.class_agnostic_nms=true'


@pytest.fixture(scope='module', name='agnostic')
def _agnostic(model_dir):
  return htc_tf.load_model(model_dir, params_override=_OVERRIDE)


def test_a_model_says_how_its_nms_acts(agnostic, predictor, model_dir):
  assert agnostic.class_agnostic_nms is True and predictor.class_agnostic_nms is False
  for model in (agnostic, predictor):
    assert model.in_format(ExportFormat()).class_agnostic_nms == model.class_agnostic_nms
  for override, expected in (('', False), (_OVERRIDE, True)):
    options = {'params_override': override, 'ensemble': Ensemble([model_dir]), 'tta': 'flip'}
    assert detectors.load_detector(model_dir, **options).class_agnostic_nms is expected


def test_an_export_and_its_server_are_merged_as_the_model(agnostic, tmp_path, monkeypatch):
  loaded = types.SimpleNamespace(signatures={'serving_default': None})
  monkeypatch.setattr(detectors, '_load_graphs', lambda _: loaded)
  (tmp_path / 'saved_model.pb').touch()
  path, target = str(tmp_path), Target('http://localhost')
  format_lib.write_format(agnostic.in_format(ExportFormat()), path)
  assert json.loads((tmp_path / 'export.json').read_text())['class_agnostic_nms'] is True
  assert detectors.load_detector(path).class_agnostic_nms is True
  assert client.remote_detector(target, path).class_agnostic_nms is True
  # An export of a version that did not know the entry.
  (tmp_path / 'export.json').write_text('{"boxes": "pixels", "masks": "cropped"}')
  assert detectors.load_detector(path).class_agnostic_nms is False
  assert client.remote_detector(target, path).class_agnostic_nms is False
  assert client.remote_detector(target).class_agnostic_nms is False


@pytest.mark.parametrize('is_agnostic', [False, True])
def test_exports_for_other_runtimes_are_merged_as_the_model(tmp_path, monkeypatch, is_agnostic):
  of = frame_models.predictor(detection_generator={'class_agnostic_nms': is_agnostic})
  runtime = registry.find('onnx')
  content = frame_export._description(frame_models.graph(of), runtime, of)
  assert content['class_agnostic_nms'] is is_agnostic
  monkeypatch.setattr(frame_detector, '_load', lambda *_: None)
  (tmp_path / runtime.model_file).touch()
  (tmp_path / 'export.json').write_text(json.dumps(content))
  assert detectors.load_detector(str(tmp_path)).class_agnostic_nms is is_agnostic
  del content['class_agnostic_nms'], content['mask_threshold']  # As earlier versions wrote it.
  (tmp_path / 'export.json').write_text(json.dumps(content))
  assert detectors.load_detector(str(tmp_path)).class_agnostic_nms is False


@pytest.mark.parametrize('value', ['yes', 1, None])
def test_another_value_in_an_export_is_refused(tmp_path, value):
  (tmp_path / 'export.json').write_text(json.dumps({'class_agnostic_nms': value}))
  with pytest.raises(InputError, match='class_agnostic_nms of the export'):
    format_lib.read_format(str(tmp_path))


@pytest.mark.parametrize('is_agnostic', [False, True])
def test_the_tiles_of_an_image_obey_the_nms_of_the_model(is_agnostic):
  """The left tile takes the object for class 1, the right one, with a higher score, for class 2."""
  pixels = np.zeros((40, 60, 3), np.uint8)
  pixels[:, 59] = 1  # Only the right tile has this column.

  def run(batch):
    is_right = (batch[:, :, -1] == 1).all((1, 2))
    column = np.where(is_right, 5.0, 25.0)
    boxes = np.stack([np.full(len(batch), 10.0), column, np.full(len(batch), 30.0), column + 10], 1)
    return {
      'detection_boxes': boxes[:, np.newaxis],
      'detection_scores': np.where(is_right, 0.9, 0.6)[:, np.newaxis],
      'detection_classes': np.where(is_right, 2, 1)[:, np.newaxis],
      'num_detections': np.ones(len(batch), int),
    }

  form, tiling = ExportFormat(class_agnostic_nms=is_agnostic), Tiling(40, 20)
  (found,) = detect_images.detect_images(pixels, run, form, None, 0, tiling)
  detector = color_detector.detector(tiling=tiling, class_agnostic_nms=is_agnostic)
  detector = detector._replace(detect=in_batches(run, form))
  (by_detector,) = predict_files.detect(detector, [images.image_from_pixels(pixels)])
  for instances in (found.instances, by_detector):
    assert instances.classes.tolist() == ([2] if is_agnostic else [2, 1])
    np.testing.assert_allclose(instances.scores, [0.9] if is_agnostic else [0.9, 0.6])
