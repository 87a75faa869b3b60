"""Tests that models write no Keras file that cannot be loaded, and that their weights can be."""

import os

import numpy as np
import pytest
import tf_keras

from htc_tf.data.padding import padding_rule
from htc_tf.errors import InputError
from htc_tf.modeling.ensemble import Member
from htc_tf.serving.predictor import HTCPredictor, InputRule
from tests import tiny

RULE = InputRule(48, 64, padding_rule([], (64, 64)))
# Every way in which Keras writes or copies a model.
REFUSED = {
  'keras': lambda model, folder: model.save(os.path.join(folder, 'x.keras')),
  'h5': lambda model, folder: model.save(os.path.join(folder, 'x.h5')),
  'folder': lambda model, folder: model.save(os.path.join(folder, 'x'), save_format='tf'),
  'path': lambda model, folder: model.save(folder / 'x'),
  'save_model': lambda model, folder: tf_keras.models.save_model(
    model, os.path.join(folder, 'x.keras')
  ),
  'json': lambda model, folder: model.to_json(),
  'config': lambda model, folder: model.get_config(),
  'clone': lambda model, folder: tf_keras.models.clone_model(model),
}


def build(kind, seed=0):
  model = tiny.build(tiny.model(1), seed)
  return HTCPredictor([Member(model)], [RULE]) if kind == 'predictor' else model


@pytest.fixture(name='models', scope='module')
def _models():
  return {kind: build(kind) for kind in ('predictor', 'model')}


@pytest.mark.parametrize('way', REFUSED)
@pytest.mark.parametrize('kind', ['predictor', 'model'])
def test_a_keras_file_is_refused_before_it_is_written(models, kind, way, tmp_path):
  with pytest.raises(InputError, match=r'htc-export or .*export_saved_model.*save_weights'):
    REFUSED[way](models[kind], tmp_path)
  assert not os.listdir(tmp_path)


def test_a_predictor_that_has_predicted_is_refused_too(models, tmp_path):
  models['predictor'].predict(np.zeros([1, 40, 60, 3], np.uint8), verbose=0)
  with pytest.raises(InputError, match=r"HTCPredictor cannot.*Got: save\('.*x'\)"):
    models['predictor'].save(str(tmp_path / 'x'))
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize('name', ['w.h5', 'w.keras', 'w.weights.h5', 'w'])
@pytest.mark.parametrize('kind', ['predictor', 'model'])
def test_weights_can_be_saved_and_loaded_before_the_first_call(models, kind, name, tmp_path):
  models[kind].save_weights(str(tmp_path / name))
  other = build(kind, seed=1)
  before, expected = other.get_weights(), models[kind].get_weights()
  assert any(np.any(old != value) for old, value in zip(before, expected))
  other.load_weights(str(tmp_path / name))
  for value, loaded in zip(expected, other.get_weights()):
    np.testing.assert_array_equal(loaded, value)
