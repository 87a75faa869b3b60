"""Tests of ensembles in prediction and export."""

import numpy as np
import pytest
import tensorflow as tf

import htc_tf
from htc_tf.errors import InputError
from htc_tf.serving import detectors, export
from htc_tf.serving.members import Ensemble
from tests.serving import tiny_model

_KEYS = ('detection_boxes', 'detection_scores', 'detection_classes', 'detection_masks')
# Another scale, other normalization, two stages and no semantic branch.
_OTHER = {
  'model': {
    'cascade': {'stages': [{'iou_threshold': 0.5}, {'iou_threshold': 0.6}]},
    'semantic_head': {'enabled': False},
    'pixels': {'mean': [100.0, 110.0, 120.0], 'stddev': [50.0, 50.0, 50.0]},
  },
  'validation_data': {'parser': {'min_sizes': [64], 'max_size': 96}},
}


def _images(batch=1, height=40, width=60, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), np.uint8)


@pytest.fixture(scope='module')
def other_dir(tmp_path_factory):
  return tiny_model.write(tmp_path_factory.mktemp('other'), seed=7, changes=_OTHER)


@pytest.fixture(scope='module', params=['rois', pytest.param('detections', marks=pytest.mark.slow)])
def together(request, model_dir, other_dir):
  return htc_tf.load_model(model_dir, ensemble=Ensemble([other_dir], request.param))


def test_no_further_model_changes_nothing(predictor, model_dir):
  found = htc_tf.load_model(model_dir, ensemble=[]).predict(_images(), verbose=0)
  for key, expected in predictor.predict(_images(), verbose=0).items():
    np.testing.assert_array_equal(found[key], expected)


def test_models_with_other_inputs_detect_together(together, predictor, other_dir):
  images = _images(2)
  found = together.predict(images, verbose=0)
  assert found['num_detections'].min() > 0
  assert found['detection_boxes'].shape == (2, 10, 4)
  boxes = found['detection_boxes'].reshape(-1, 4)
  assert boxes.min() >= 0 and np.all(boxes <= [40, 60, 40, 60])
  for alone in (predictor, htc_tf.load_model(other_dir)):
    scores = alone.predict(images, verbose=0)['detection_scores']
    assert np.abs(scores - found['detection_scores']).max() > 1e-4


def test_a_model_and_itself_find_what_it_finds_alone(
  predictor, model_dir, other_dir, tmp_path, caplog
):
  htc_tf.load_model(model_dir, ensemble=[other_dir])
  assert 'twice' not in caplog.text
  link = tmp_path / 'link'
  link.symlink_to(model_dir)  # It has another name, and is the same model.
  twice = htc_tf.load_model(model_dir, ensemble=Ensemble([link], 'detections'))
  assert f'{link}/ckpt' in caplog.text and 'is in the ensemble twice' in caplog.text
  images = _images(2)
  found, expected = (model.predict(images, verbose=0) for model in (twice, predictor))
  for key in _KEYS:
    np.testing.assert_allclose(found[key], expected[key], atol=1e-3)


@pytest.mark.parametrize(
  'together',
  ['rois', pytest.param('detections', marks=pytest.mark.slow)],
  indirect=True,
  scope='module',
)
def test_an_export_holds_the_ensemble(together, other_dir, tmp_path):
  folder = export.export_saved_model(together, str(tmp_path / '1'), warmup=False)
  served = tf.saved_model.load(folder).signatures
  images = _images(1)
  expected = together.predict(images, verbose=0)
  for found in (
    served['serving_default'](inputs=images),
    served['image_bytes'](inputs=tf.stack([tf.io.encode_png(images[0])])),
  ):
    for key in _KEYS:
      np.testing.assert_allclose(found[key], expected[key], atol=1e-3)
  with pytest.raises(InputError, match=r'does what was chosen.*Got: --ensemble='):
    detectors.load_detector(folder, ensemble=Ensemble([other_dir]))


@pytest.mark.parametrize(
  'names, changes, level, message',
  [
    (('cat', 'cow'), {}, 'rois', 'classes. Expected: cat, dog as in .* Got: cat, cow in'),
    (('dog', 'cat'), {}, 'detections', 'classes. Expected: cat, dog'),
    (('cat', 'dog'), {'model': {'include_mask': False}}, 'rois', 'masks. .* Got: no masks'),
    (
      ('cat', 'dog'),
      {'model': {'mask_head': {'crop_size': 7}}},
      'rois',
      r'28 x 28.* Got: masks of 14',
    ),
    (
      ('cat', 'dog'),
      {'test_time_augmentation': {'area_ranges': [{'max_side': 50.0}]}},
      'rois',
      'area ranges',
    ),
  ],
)
def test_models_that_do_not_fit_are_refused(model_dir, tmp_path, names, changes, level, message):
  other = tiny_model.write(tmp_path / 'other', names=names, changes=changes)
  with pytest.raises(InputError, match=message):
    htc_tf.load_model(model_dir, ensemble=Ensemble([other], level))


def test_masks_of_other_sizes_are_joined_after_detection(model_dir, tmp_path):
  other = tiny_model.write(tmp_path / 'other', changes={'model': {'mask_head': {'crop_size': 7}}})
  model = htc_tf.load_model(model_dir, ensemble=Ensemble([other], 'detections'))
  assert model.predict(_images(), verbose=0)['detection_masks'].shape == (1, 10, 28, 28)


@pytest.mark.parametrize('wrong', ['model', None, 3])
def test_a_path_without_a_list_is_refused(model_dir, wrong):
  with pytest.raises(InputError, match='Expected: a list of paths'):
    htc_tf.load_model(model_dir, ensemble=wrong)
  with pytest.raises(InputError, match='level of the ensemble is unknown'):
    Ensemble(['a'], 'boxes')
