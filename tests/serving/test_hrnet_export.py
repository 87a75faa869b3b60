"""Test of a model directory, an export and a lowered program of a model on HRNet."""

import numpy as np
import pytest
import tensorflow as tf

import htc_tf
from htc_tf.serving import export, lowering
from tests import tiny
from tests.serving import tiny_model


@pytest.fixture(scope='module', name='predictor')
def _predictor(tmp_path_factory):
  changes = {'model': {**tiny.HRNET}}
  return htc_tf.load_model(tiny_model.write(tmp_path_factory.mktemp('hrnet'), changes=changes))


@pytest.mark.slow
def test_an_export_detects_what_the_model_does(predictor, tmp_path):
  folder = export.export_saved_model(predictor, str(tmp_path / '1'))
  serve = tf.saved_model.load(folder).signatures['serving_default']
  for size in ((40, 60), (30, 25)):
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    expected = predictor.predict(images, verbose=0)
    assert expected['num_detections'].min() > 0
    outputs = serve(inputs=tf.constant(images))
    for key, value in expected.items():
      np.testing.assert_allclose(outputs[key], value, atol=1e-4, err_msg=key)


@pytest.mark.slow
def test_a_model_is_lowered_for_images_of_any_multiple_of_32(predictor):
  model = predictor.members[0].model
  assert lowering.default_hw(model, (800, 1333)) == (800, 1344)
  lowered = lowering.lower_detection(model, (32, 96))
  assert dict(lowered.arguments)['images'].shape == (1, 32, 96, 3)
