"""Tests of loading model directories and checkpoints."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from PIL import Image

import htc_tf
from htc_tf.cli import predict
from htc_tf.errors import CheckpointError, ConfigError, InputError
from htc_tf.serving import detectors, export, frozen_weights, members

_IMAGES = np.random.default_rng(0).integers(0, 256, (1, 40, 60, 3), np.uint8)


def test_directory_and_prefix_load_the_same(model_dir, predictor):
  other = htc_tf.load_model(os.path.join(model_dir, 'ckpt-1'))
  np.testing.assert_array_equal(
    other.predict(_IMAGES, verbose=0)['detection_boxes'],
    predictor.predict(_IMAGES, verbose=0)['detection_boxes'],
  )


def test_categories_are_loaded_with_the_model(predictor):
  assert predictor.dataset_info.category_names == ['cat', 'dog']
  assert predictor.dataset_info.category_ids == [7, 30]


def test_overrides_change_the_loaded_model(model_dir):
  model = htc_tf.load_model(
    model_dir, params_override='task.model.detection_generator.max_detections=3'
  )
  assert model.predict(_IMAGES, verbose=0)['detection_boxes'].shape == (1, 3, 4)


def _compute_type(model):
  return model.model.backbone.layers[1].compute_dtype


def test_precision_is_that_of_training_unless_overridden(model_dir, tmp_path):
  folder = tmp_path / 'model'
  shutil.copytree(model_dir, folder)
  text = (folder / 'params.yaml').read_text()
  assert 'mixed_precision_dtype: float32' in text
  (folder / 'params.yaml').write_text(
    text.replace('mixed_precision_dtype: float32', 'mixed_precision_dtype: bfloat16')
  )
  before = tf_keras.mixed_precision.global_policy().name
  loaded = htc_tf.load_model(folder)
  overridden = htc_tf.load_model(folder, params_override='runtime.mixed_precision_dtype=float32')
  assert _compute_type(loaded) == 'bfloat16'
  assert _compute_type(overridden) == 'float32'
  assert tf_keras.mixed_precision.global_policy().name == before


@pytest.mark.parametrize('dtype', ['bfloat16', pytest.param('float16', marks=pytest.mark.slow)])
def test_float32_checkpoint_predicts_and_exports_in_16_bits(model_dir, predictor, dtype, tmp_path):
  model = htc_tf.load_model(model_dir, params_override=f'runtime.mixed_precision_dtype={dtype}')
  assert _compute_type(model) == dtype
  outputs = model.predict(_IMAGES, verbose=0)
  full = predictor.predict(_IMAGES, verbose=0)
  assert outputs['num_detections'][0] > 0
  for key in ('detection_boxes', 'detection_scores', 'detection_masks'):
    assert outputs[key].dtype == np.float32
  np.testing.assert_allclose(outputs['detection_scores'], full['detection_scores'], atol=0.05)
  exported = tf.saved_model.load(export.export_saved_model(model, str(tmp_path / '1')))
  served = exported.signatures['serving_default'](inputs=tf.constant(_IMAGES))
  np.testing.assert_allclose(served['detection_boxes'], outputs['detection_boxes'], atol=0.5)
  np.testing.assert_allclose(served['detection_scores'], outputs['detection_scores'], atol=0.01)


def test_an_unknown_precision_is_rejected(model_dir):
  with pytest.raises(ConfigError, match=r'mixed_precision_dtype is unknown.*float8'):
    htc_tf.load_model(model_dir, params_override='runtime.mixed_precision_dtype=float8')


def test_a_missing_folder_is_rejected(tmp_path):
  with pytest.raises(CheckpointError, match=r'There is no checkpoint at .*here'):
    htc_tf.load_model(tmp_path / 'nothing' / 'here')


def test_a_folder_without_checkpoint_is_rejected(model_dir, tmp_path):
  shutil.copy(os.path.join(model_dir, 'params.yaml'), tmp_path)
  with pytest.raises(CheckpointError, match='There is no checkpoint'):
    htc_tf.load_model(tmp_path)


def test_a_checkpoint_without_configuration_is_rejected(model_dir, tmp_path):
  for name in os.listdir(model_dir):
    if name.startswith('ckpt'):
      shutil.copy(os.path.join(model_dir, name), tmp_path)
  with pytest.raises(CheckpointError, match=r'params.yaml'):
    htc_tf.load_model(tmp_path / 'ckpt-1')


def test_the_error_for_another_configuration_names_the_weights_that_do_not_fit(model_dir):
  with pytest.raises(CheckpointError) as error:
    htc_tf.load_model(model_dir, params_override='task.model.num_classes=5')
  assert 'stages/0/box_head' in str(error.value)
  assert '(16, 3) in the checkpoint, (16, 5) in the model' in str(error.value)


def test_an_unknown_experiment_is_rejected(model_dir):
  with pytest.raises(ConfigError, match='htc_resnet51'):
    htc_tf.load_model(model_dir, experiment='htc_resnet51')


@pytest.mark.parametrize('content', ['task: [', '[1, 2]', ''])
def test_a_damaged_configuration_is_one_clear_error(model_dir, tmp_path, content):
  folder = tmp_path / 'model'
  shutil.copytree(model_dir, folder)
  (folder / 'params.yaml').write_text(content)
  with pytest.raises(
    ConfigError, match=r'params.yaml is not the configuration of a run.*damaged file'
  ):
    htc_tf.load_model(folder)


def test_overrides_that_are_not_yaml_are_one_clear_error(model_dir):
  with pytest.raises(ConfigError, match=r'overrides .* cannot be read'):
    htc_tf.load_model(model_dir, params_override='{{')


@pytest.mark.parametrize('path', [None, 3, b'model'])
def test_another_type_than_a_path_is_one_clear_error(path):
  with pytest.raises(InputError, match='Expected: a path'):
    htc_tf.load_model(path)


def test_an_empty_path_is_not_the_working_directory(model_dir, monkeypatch):
  monkeypatch.chdir(model_dir)
  for arguments in ({'path': ''}, {'path': model_dir, 'ensemble': ['']}):
    with pytest.raises(CheckpointError, match='path of the model is empty'):
      htc_tf.load_model(**arguments)


@pytest.mark.parametrize('tta', [5, [64], True])
def test_views_that_are_no_text_are_one_clear_error(model_dir, tta):
  with pytest.raises(ConfigError, match='sizes as numbers'):
    htc_tf.load_model(model_dir, tta=tta)


@pytest.mark.parametrize('others', ['model', [None], 3, b'model', [['model']]])
def test_an_ensemble_that_is_no_list_of_paths_is_one_clear_error(model_dir, others):
  with pytest.raises(InputError, match='Expected: a list of paths'):
    htc_tf.load_model(model_dir, ensemble=others)
  if isinstance(others, (str, list)):
    with pytest.raises(InputError, match='Expected: a list of paths'):
      members.Ensemble(others)


@pytest.mark.parametrize(
  'override, message',
  [
    ('task.test_time_augmentation.min_sizes=[0]', r'min_sizes\[0\] is out of range'),
    ('task.test_time_augmentation.min_sizes=192', 'min_sizes is of the wrong type'),
    ('task.test_time_augmentation.horizontal_flip=maybe', 'horizontal_flip is of the wrong type'),
    ('task.test_time_augmentation.area_ranges=[{max_side: .nan}]', 'max_side'),
    ('task.validation_data.parser.min_sizes=[]', 'min_sizes is wrong'),
    ('task.validation_data.parser.min_sizes=[900]', 'min_sizes is wrong.*none above'),
    ('task.validation_data.parser.max_size=big', 'max_size is of the wrong type'),
    ('task.validation_data.parser.buckets=[{height: 33, width: 64}]', 'multiples of 32'),
  ],
)
def test_wrong_values_that_detection_reads_are_one_clear_error(model_dir, override, message):
  with pytest.raises(ConfigError, match=message):
    htc_tf.load_model(model_dir, params_override=override)


def test_a_bare_checkpoint_in_an_ensemble_is_one_clear_error(model_dir, tmp_path):
  for name in os.listdir(model_dir):
    if name.startswith('ckpt'):
      shutil.copy(os.path.join(model_dir, name), tmp_path)
  with pytest.raises(CheckpointError, match=r'params.yaml beside .*that of the first model alone'):
    htc_tf.load_model(model_dir, ensemble=[tmp_path / 'ckpt-1'])


def test_constant_weights_find_the_same_in_all_forms_of_prediction(model_dir, predictor, tmp_path):
  frozen = htc_tf.load_model(model_dir, constant_weights=True)
  for variable in frozen.variables:
    variable.assign(tf.zeros_like(variable))  # Constants do not follow.
  for images in (_IMAGES, np.repeat(_IMAGES[:, :33, :47], 2, axis=0)):
    expected = predictor.predict(images, verbose=0)
    for found in (frozen.predict(images, verbose=0), frozen.run(images)):
      assert set(found) == set(expected)
      for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-4)
  (image,), (other,) = (list(model.detect(_IMAGES[0], 0)) for model in (frozen, predictor))
  assert len(image) == len(other) > 0
  np.testing.assert_allclose(image.boxes, other.boxes, atol=1e-2)


def test_weights_too_large_for_constants_are_refused(model_dir, monkeypatch):
  monkeypatch.setattr(frozen_weights, 'MAX_BYTES', 1024)
  with pytest.raises(InputError, match=r'cannot be constants.*GiB.*predict with variables'):
    htc_tf.load_model(model_dir, constant_weights=True)


def test_the_command_asks_for_constants(model_dir, tmp_path, monkeypatch):
  asked = []
  load = detectors.load_detector
  monkeypatch.setattr(
    detectors, 'load_detector', lambda *args: asked.append(args[-1]) or load(*args)
  )
  Image.fromarray(_IMAGES[0]).save(tmp_path / 'image.png')
  arguments = [f'--model={model_dir}', f'--output={tmp_path}/out', str(tmp_path / 'image.png')]
  assert predict.main([*arguments, '--constant_weights']) == predict.main(arguments) == 0
  assert asked == [True, False]
