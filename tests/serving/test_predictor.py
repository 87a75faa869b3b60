"""Tests of the predictor: Keras `predict` on images."""

import numpy as np
import pytest
import tensorflow as tf

import htc_tf
from htc_tf.data import preprocess
from htc_tf.data.padding import padding_rule
from htc_tf.errors import InputError
from htc_tf.modeling.ensemble import Member
from htc_tf.serving import encoded_images
from htc_tf.serving.predictor import HTCPredictor, InputRule


def _images(batch=1, height=40, width=60, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (batch, height, width, 3), np.uint8)


def test_outputs_have_their_shapes_and_zeros_in_padding_rows(predictor):
  outputs = predictor.predict(_images(2), verbose=0)
  assert outputs['detection_boxes'].shape == (2, 10, 4)
  assert outputs['detection_masks'].shape == (2, 10, 28, 28)
  assert outputs['detection_classes'].dtype == np.int32
  assert outputs['num_detections'].min() > 0
  for row, count in enumerate(outputs['num_detections']):
    for key in ('detection_boxes', 'detection_scores', 'detection_masks'):
      assert not outputs[key][row, count:].any()
    assert (outputs['detection_scores'][row, :count] > 0).all()


def test_boxes_are_in_original_pixels(predictor):
  images = _images(height=20, width=40)  # Scaled by 64 / 40 to 32 x 64.
  outputs = predictor.predict(images, verbose=0)
  inputs, info = preprocess.preprocess_image(tf.constant(images), 48, 64, (64, 64))
  detections = predictor.model(
    {'images': inputs[:, :32], 'image_shape': info[:, 1]}, training=False
  )
  direct = detections.to_dict()
  np.testing.assert_allclose(outputs['detection_boxes'], direct['detection_boxes'] / 1.6, atol=1e-3)
  assert outputs['detection_boxes'][..., [0, 2]].max() <= 20
  assert outputs['detection_boxes'][..., [1, 3]].max() <= 40
  assert outputs['detection_boxes'][..., [1, 3]].max() > 20


def test_a_batch_gives_the_detections_of_its_single_images(predictor):
  images = _images(2)
  both = predictor.predict(images, verbose=0)
  for row in range(2):
    single = predictor.predict(images[row : row + 1], verbose=0)
    for key, tolerance in (('detection_boxes', 1e-3), ('detection_masks', 1e-4)):
      np.testing.assert_allclose(single[key][0], both[key][row], atol=tolerance)


BUCKETS = ((32, 64), (64, 32))


@pytest.mark.parametrize(
  'buckets, size, padded',
  [
    ((), (20, 40), (32, 64)),
    ((), (64, 33), (64, 64)),
    (((64, 64),), (20, 40), (64, 64)),
    (BUCKETS, (20, 40), (32, 64)),
    (BUCKETS, (33, 20), (64, 32)),
    (BUCKETS, (40, 40), (64, 64)),  # A batch of both orientations, which fits no bucket.
  ],
)
def test_a_batch_is_padded_to_its_bucket_or_to_multiples_of_the_divisor(buckets, size, padded):
  rule = InputRule(48, 64, padding_rule(buckets, (64, 64)))
  assert tuple(np.array(rule.padded_hw(tf.constant(size))).tolist()) == padded


def test_images_of_all_sizes_share_one_trace(model_dir, monkeypatch):
  model = htc_tf.load_model(model_dir)
  traced, prepare = [], model.prepare
  monkeypatch.setattr(model, 'prepare', lambda images: traced.append(1) or prepare(images))
  for size in ((20, 40), (64, 33), (30, 30)):
    images = _images(height=size[0], width=size[1])
    found = [model.predict(images, verbose=0), model.run(images)]
    for key, expected in model(tf.constant(images)).items():
      for outputs in found:
        np.testing.assert_allclose(outputs[key], expected, atol=1e-3)
  # Once, and at each direct call, which runs eagerly.
  assert len(traced) == 1 + 3
  # A graph around the traced one would be made anew for every size.
  assert not hasattr(model.predict_function, 'get_concrete_function')


def test_a_compiled_predictor_predicts_several_batches_in_one_step(model_dir):
  model, images = htc_tf.load_model(model_dir), _images(3)
  expected = model.predict(images, batch_size=1, verbose=0)
  model.compile(steps_per_execution=2)
  found = model.predict(images, batch_size=1, verbose=0)
  np.testing.assert_allclose(found['detection_boxes'], expected['detection_boxes'], atol=1e-3)


def test_an_image_is_padded_to_its_bucket_or_shrunk_into_one(predictor):
  rule = InputRule(48, 64, padding_rule(BUCKETS, (64, 64)))
  with_buckets = HTCPredictor([Member(predictor.model)], [rule])
  for shape, scaled, bucket in (((20, 40), (32, 64), (32, 64)), ((40, 50), (32, 40), (32, 64))):
    images = _images(height=shape[0], width=shape[1])
    inputs, info = preprocess.preprocess_image(tf.constant(images), 48, 64, bucket)
    assert info[0, 1].numpy().tolist() == list(scaled) and inputs.shape[1:3] == bucket
    detections = predictor.model({'images': inputs, 'image_shape': info[:, 1]}, training=False)
    direct = detections.to_dict()
    outputs = with_buckets(tf.constant(images))
    png = tf.io.encode_png(images[0])[tf.newaxis]
    prepared = encoded_images.prepare(png, with_buckets, 10**6)
    encoded = with_buckets.detect_prepared(*prepared[:2])
    for found in (outputs, encoded):
      np.testing.assert_allclose(found['detection_scores'], direct['detection_scores'], atol=1e-5)
      np.testing.assert_allclose(found['detection_masks'], direct['detection_masks'], atol=1e-4)


@pytest.mark.parametrize(
  'bad, got',
  [
    (np.zeros([40, 60, 3], np.uint8), r'\[40, 60, 3\] uint8'),
    (np.zeros([1, 40, 60, 1], np.uint8), r'\[1, 40, 60, 1\]'),
    (np.zeros([1, 40, 60, 3], np.float32), 'float32'),
    (np.zeros([1, 0, 60, 3], np.uint8), r'\[1, 0, 60, 3\]'),
    (np.zeros([0, 40, 60, 3], np.uint8), 'There are no images.*an empty selection'),
    (np.array(['a.png']), r'\[1\] str'),
    ([np.zeros([40, 60, 3], np.uint8)], 'Got: list.*np.stack'),
    ('a.png', 'Got: str.*file names'),
    (None, 'Got: NoneType'),
  ],
)
def test_inputs_other_than_a_batch_of_images_are_rejected(predictor, bad, got):
  with pytest.raises(InputError, match=got):
    predictor.predict(bad, verbose=0)
