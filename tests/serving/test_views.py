"""Tests of test-time augmentation in prediction, export and evaluation."""

import numpy as np
import pytest
import tensorflow as tf

import htc_tf
from htc_tf.configs.detection_views import overrides_of
from htc_tf.data.skipped import SkipCounter
from htc_tf.errors import ConfigError, InputError
from htc_tf.serving import detectors, export
from htc_tf.tasks import detection_views, inputs
from tests import tiny, tiny_records

_KEYS = ('detection_boxes', 'detection_scores', 'detection_masks')
_VIEWS = '32,48+flip'


def _images(batch=1, height=40, width=60, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), np.uint8)


@pytest.fixture(scope='module')
def with_views(model_dir):
  return htc_tf.load_model(model_dir, tta=_VIEWS)


def test_one_view_changes_nothing(predictor, model_dir):
  found = htc_tf.load_model(model_dir, tta='none').predict(_images(), verbose=0)
  for key, expected in predictor.predict(_images(), verbose=0).items():
    np.testing.assert_array_equal(found[key], expected)


def test_a_mirrored_image_gives_mirrored_detections(model_dir):
  model, images = htc_tf.load_model(model_dir, tta='flip'), _images(2)
  found, other = (
    model.predict(np.ascontiguousarray(each), verbose=0) for each in (images, images[:, :, ::-1])
  )
  np.testing.assert_array_equal(found['num_detections'], other['num_detections'])
  assert found['num_detections'].min() > 0
  for row, count in enumerate(found['num_detections']):
    boxes, mirrored = found['detection_boxes'][row, :count], other['detection_boxes'][row, :count]
    # Resizing rounds the pixels of an image and of its mirror image alike.
    np.testing.assert_allclose(mirrored[:, [1, 3]], 60 - boxes[:, [3, 1]], atol=1e-2)
    np.testing.assert_allclose(
      other['detection_masks'][row, :count],
      found['detection_masks'][row, :count, :, ::-1],
      atol=1e-3,
    )


def test_views_change_the_detections(predictor, with_views):
  plain, found = (model.predict(_images(), verbose=0) for model in (predictor, with_views))
  assert np.abs(plain['detection_scores'] - found['detection_scores']).max() > 1e-4
  boxes = found['detection_boxes'][0]
  assert boxes.min() >= 0 and np.all(boxes <= [40, 60, 40, 60])


@pytest.mark.slow
def test_an_export_has_the_views_of_the_model(with_views, tmp_path):
  folder = export.export_saved_model(with_views, str(tmp_path / '1'), warmup=False)
  served = tf.saved_model.load(folder).signatures
  images = _images(2)
  found, expected = served['serving_default'](inputs=images), with_views.predict(images, verbose=0)
  for key in _KEYS:
    np.testing.assert_allclose(found[key], expected[key], atol=1e-3)
  sizes = ((40, 60), (38, 60))  # They have the same padding at every scale.
  files = [tf.io.encode_png(_images(1, *size)[0]) for size in sizes]
  found = served['image_bytes'](inputs=tf.stack([*files, b'no image']))
  np.testing.assert_array_equal(found['error_code'], [0, 0, 1])
  for row, size in enumerate(sizes):
    expected = with_views.predict(_images(1, *size), verbose=0)
    for key in _KEYS:
      np.testing.assert_allclose(found[key][row], expected[key][0], atol=1e-3)
  with pytest.raises(InputError, match=r'does what was chosen.*Got: --tta='):
    detectors.load_detector(folder, tta='flip')


def test_another_text_or_scale_is_refused(model_dir):
  with pytest.raises(ConfigError, match='cannot be read'):
    htc_tf.load_model(model_dir, tta='flop')
  with pytest.raises(ConfigError, match=r'max_sizes\[0\] is too small'):
    htc_tf.load_model(
      model_dir,
      params_override='task.test_time_augmentation.min_sizes=[48],'
      'task.test_time_augmentation.max_sizes=[40]',
    )


@pytest.mark.parametrize('batch', [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_evaluation_sees_the_views_of_the_prediction(tmp_path, batch):
  records = tiny_records.write(tmp_path, 'val', sizes=((64, 48), (60, 40)))
  task = tiny.task(tiny.model(num_classes=3, semantic_head={'num_classes': 3}))
  config = task.task_config
  config.override(overrides_of(_VIEWS)['task'])
  data = config.validation_data
  data.input_path, data.global_batch_size = records, batch
  data.parser.min_sizes, data.parser.max_size = [48], 64
  model = task.build_model()
  scales = detection_views.scales(config)
  assert [(scale.min_size, scale.max_size) for scale in scales] == [(32, 43), (48, 64)]
  batches = inputs.build_batches(data, config.model, SkipCounter(), scales=scales)
  for images, labels in batches:
    found = task.validation_step((images, labels), model)['predictions']
    assert len(found['num_detections']) == images.shape[0]
    for row in range(images.shape[0]):
      info = labels['image_info'][row].numpy()
      other = labels['image_info_1'][row].numpy()
      np.testing.assert_array_equal(info[0], other[0])  # One original size.
      assert other[1].max() > info[1].max()
      height, width = info[1].astype(int)
      assert not np.any(images[row, height:]) and not np.any(images[row, :, width:])
  assert {key for key in labels if key.startswith('image')} >= {'image_1', 'image_info_1'}
