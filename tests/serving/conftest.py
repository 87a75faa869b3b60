"""A tiny model with random weights: its model directory, the loaded model, and two exports."""

import pytest

from tests.serving import tiny_model


@pytest.fixture(scope='session')
def model_dir(tmp_path_factory):
  """Path of a model directory with one checkpoint, `ckpt-1`."""
  return tiny_model.write(tmp_path_factory.mktemp('model'))


@pytest.fixture(scope='session')
def predictor(model_dir):
  """The model loaded from `model_dir`."""
  import htc_tf

  return htc_tf.load_model(model_dir)


@pytest.fixture(scope='session')
def saved_model(predictor, tmp_path_factory):
  """Path of an export with the default format."""
  from htc_tf.serving import export

  return export.export_saved_model(predictor, str(tmp_path_factory.mktemp('export') / '1'))


@pytest.fixture(scope='session')
def packed_model(predictor, tmp_path_factory):
  """Path of an export with packed masks and normalized boxes."""
  from htc_tf.serving import export
  from htc_tf.serving.export_format import ExportFormat

  return export.export_saved_model(
    predictor, str(tmp_path_factory.mktemp('packed') / '1'), ExportFormat('normalized', 'packed')
  )
