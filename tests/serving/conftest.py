"""A tiny model with random weights: its model directory, the loaded model, and two exports."""

import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory, train_utils

from htc_tf import registry_imports  # noqa: F401
from htc_tf.checkpoints import model_directory
from htc_tf.data.dataset_info import Category, DatasetInfo
from htc_tf.tasks.htc import HTCTask

OVERRIDES = {
  'num_classes': 3,
  'input_size': [64, 64, 3],
  'backbone': {'published_resnet': {'width_multiplier': 0.125}},
  'decoder': {'published_fpn': {'num_filters': 8}},
  'rpn_head': {'published': {'num_filters': 8}},
  'roi_generator': {'published': {'test_pre_nms_top_k': 40, 'test_num_proposals': 20}},
  'box_head': {'fc_dims': 16},
  'mask_head': {'num_convs': 1, 'num_filters': 8},
  'semantic_head': {'num_classes': 3, 'num_convs': 1, 'num_filters': 8},
  'detection_generator': {'max_detections': 10},
}


def _tiny_experiment():
  params = exp_factory.get_exp_config('htc_nuclei')
  parser = {'min_sizes': [48], 'max_size': 64}
  params.override({'task': {'model': OVERRIDES, 'validation_data': {'parser': parser}}})
  return params


def _dataset_info():
  categories = (Category(id=7, name='cat', label=1), Category(id=30, name='dog', label=2))
  return DatasetInfo('pets', 1, 1, 1, categories, None, True, 'annotations.json')


@pytest.fixture(scope='session')
def model_dir(tmp_path_factory):
  """Path of a model directory with one checkpoint, `ckpt-1`."""
  folder = str(tmp_path_factory.mktemp('model'))
  params = _tiny_experiment()
  tf_keras.utils.set_random_seed(3)
  model = HTCTask(params.task).build_model()
  train_utils.serialize_config(params, folder)
  model_directory.save_dataset_info(folder, _dataset_info())
  tf.train.CheckpointManager(
    tf.train.Checkpoint(model=model, **model.checkpoint_items), folder, max_to_keep=1
  ).save()
  return folder


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
