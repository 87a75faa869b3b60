"""Tests of the warm-up requests."""

import os
import sys

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from htc_tf.errors import ConfigError
from htc_tf.serving import warmup


def _requests(folder):
  path = os.path.join(folder, 'assets.extra', 'tf_serving_warmup_requests')
  records = tf.data.TFRecordDataset(path).as_numpy_iterator()
  return [prediction_log_pb2.PredictionLog.FromString(r).predict_log.request for r in records]


def test_every_request_can_be_answered_by_its_signature(saved_model):
  model = tf.saved_model.load(saved_model)
  requests = _requests(saved_model)
  assert {r.model_spec.signature_name for r in requests} == set(model.signatures)
  for request in requests:
    outputs = model.signatures[request.model_spec.signature_name](
      **{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
    )
    assert outputs['error_code'].numpy().tolist() == [0]


def test_both_orientations_are_warmed_up(saved_model):
  model = tf.saved_model.load(saved_model)
  sizes = [
    model.signatures['image_bytes'](inputs=tf.constant(tf.make_ndarray(r.inputs['inputs'])))[
      'image_info'
    ][0, 0]
    .numpy()
    .tolist()
    for r in _requests(saved_model)
    if r.model_spec.signature_name == 'image_bytes'
  ]
  assert sizes == [[480, 640], [640, 480]]


def test_a_missing_package_is_named_before_anything_is_written(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorflow_serving', None)
  monkeypatch.setitem(sys.modules, 'tensorflow_serving.apis', None)
  with pytest.raises(ConfigError, match='--no_warmup'):
    warmup.write_requests(str(tmp_path))
  assert not os.listdir(tmp_path)
