"""Loading model directories and checkpoints."""

import os
import shutil

import numpy as np
import pytest

import htc_tf
from htc_tf.errors import CheckpointError
from htc_tf.errors import ConfigError

_PICTURE = np.random.default_rng(0).integers(0, 256, (1, 40, 60, 3), np.uint8)


def test_directory_and_prefix_load_the_same(model_dir, predictor):
  other = htc_tf.load_model(os.path.join(model_dir, 'ckpt-1'))
  np.testing.assert_array_equal(other.predict(_PICTURE, verbose=0)['detection_boxes'],
                                predictor.predict(_PICTURE, verbose=0)['detection_boxes'])


def test_categories_travel_with_the_model(predictor):
  assert predictor.dataset_info.category_names == ['cat', 'dog']
  assert predictor.dataset_info.category_ids == [7, 30]


def test_overrides_change_the_loaded_model(model_dir):
  model = htc_tf.load_model(model_dir, params_override='task.model.detection_generator.'
                            'max_detections=3')
  assert model.predict(_PICTURE, verbose=0)['detection_boxes'].shape == (1, 3, 4)


def test_missing_folder(tmp_path):
  with pytest.raises(CheckpointError, match='There is no checkpoint at .*here'):
    htc_tf.load_model(tmp_path / 'nothing' / 'here')


def test_folder_without_checkpoint(model_dir, tmp_path):
  shutil.copy(os.path.join(model_dir, 'params.yaml'), tmp_path)
  with pytest.raises(CheckpointError, match='There is no checkpoint'):
    htc_tf.load_model(tmp_path)


def test_bare_checkpoint_asks_for_the_experiment(model_dir, tmp_path):
  for name in os.listdir(model_dir):
    if name.startswith('ckpt'):
      shutil.copy(os.path.join(model_dir, name), tmp_path)
  with pytest.raises(CheckpointError, match='params.yaml'):
    htc_tf.load_model(tmp_path / 'ckpt-1')


def test_checkpoint_of_another_configuration_names_what_does_not_fit(model_dir):
  with pytest.raises(CheckpointError) as error:
    htc_tf.load_model(model_dir, params_override='task.model.num_classes=5')
  assert 'stages/0/box_head' in str(error.value)
  assert '(16, 3) in the checkpoint, (16, 5) in the model' in str(error.value)


def test_unknown_experiment(model_dir):
  with pytest.raises(ConfigError, match='htc_resnet51'):
    htc_tf.load_model(model_dir, experiment='htc_resnet51')
