"""Tests of what the detector of an export refuses before it is loaded."""

import pytest

from htc_tf.errors import CheckpointError, InputError
from htc_tf.serving import detectors, loading
from htc_tf.serving.runtimes import registry

_MODEL_FILES = ['saved_model.pb', *(registry.find(name).model_file for name in registry.NAMES)]


@pytest.mark.parametrize(
  'options',
  [
    {'params_override': ['task.model.detection_generator.max_detections=3']},
    {'params_override': 'task.model.detection_generator.max_detections=3'},
    {'experiment': 'htc_nuclei'},
  ],
)
def test_a_configuration_cannot_be_given_to_an_export(tmp_path, options):
  """Its graph was made at export, so that these options would have no effect."""
  (tmp_path / 'saved_model.pb').touch()
  with pytest.raises(InputError, match=f'without these options.*--{next(iter(options))}'):
    detectors.load_detector(str(tmp_path), **options)


@pytest.mark.parametrize('name', _MODEL_FILES)
def test_a_file_of_an_export_is_answered_with_its_folder(tmp_path, name):
  (tmp_path / name).touch()
  with pytest.raises(InputError, match=f'is a file of an export.*the folder.*: {tmp_path}'):
    detectors.load_detector(str(tmp_path / name))


@pytest.mark.parametrize('name', _MODEL_FILES)
def test_an_export_in_the_place_of_a_model_is_called_one(tmp_path, name):
  (tmp_path / name).touch()
  for path in (tmp_path, tmp_path / name):
    with pytest.raises(CheckpointError, match=r'is an export, and the model that .* is needed'):
      loading.load_model(path)


def test_an_export_that_was_copied_without_its_description_is_named(tmp_path):
  (tmp_path / 'model.onnx').touch()
  with pytest.raises(InputError, match=r'export.json does not exist.*copy this file along'):
    detectors.load_detector(str(tmp_path))


def test_an_empty_path_is_not_an_export_in_the_working_directory(tmp_path, monkeypatch):
  (tmp_path / 'saved_model.pb').touch()
  monkeypatch.chdir(tmp_path)
  with pytest.raises(CheckpointError, match='path of the model is empty'):
    detectors.load_detector('')
