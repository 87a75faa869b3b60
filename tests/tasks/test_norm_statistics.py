"""Tests of running statistics of batch norm that are estimated from training batches."""

import types

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.errors import DataError, InputError
from htc_tf.tasks import norm_statistics
from htc_tf.tasks.htc import model_inputs
from htc_tf.tasks.running_statistics import RunningStatistics
from tests import tiny

TRAINED_NORMS = {'backbone': {'published_resnet': {'norm_eval': False, 'frozen_stages': -1}}}


def task_with(config, batches):
  """What stands for a task: its records are these batches."""

  def generate():
    yield from batches

  spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, tiny.batch(config))
  data = tf.data.Dataset.from_generator(generate, output_signature=spec)
  return types.SimpleNamespace(
    task_config=types.SimpleNamespace(train_data=types.SimpleNamespace(input_path='records')),
    build_inputs=lambda params: data,
  )


@pytest.fixture(scope='module', name='config')
def _config():
  return tiny.model(1, include_mask=False, semantic_head={'enabled': False}, **TRAINED_NORMS)


@pytest.fixture(scope='module', name='model')
def _model(config):
  return tiny.build(config)


def test_the_statistics_are_the_means_over_the_batches(config, model):
  images, labels = tiny.batch(config)
  batches = [(images, labels), (3.0 * images + 1.0, labels), (0.0 * images, labels)]
  # An independent way to the statistics of a batch: with a momentum of 0.9, from 0.
  expected = []
  variables = RunningStatistics(model).variables
  for batch in batches[:2]:
    for variable in variables:
      variable.assign(tf.zeros_like(variable))
    model(model_inputs(*batch), training=True)
    expected.append([variable.numpy() / 0.1 for variable in variables])
  weights = [variable.numpy() for variable in model.trainable_variables]
  norm_statistics.estimate(task_with(config, batches), model, 2)
  for variable, first, second in zip(variables, *expected):
    np.testing.assert_allclose(variable, (first + second) / 2, rtol=1e-4, atol=1e-5)
  for variable, before in zip(model.trainable_variables, weights):
    np.testing.assert_array_equal(variable, before)
  assert {layer.momentum for layer in norm_statistics._norms(model)} == {0.9}


def test_a_model_with_frozen_norms_has_none(config):
  frozen = tiny.build(tiny.model(1, include_mask=False, semantic_head={'enabled': False}))
  assert not norm_statistics.has_running_statistics(frozen)
  with pytest.raises(InputError, match='norm_eval'):
    norm_statistics.estimate(task_with(config, []), frozen, 2)


def test_no_batch_is_an_error_and_changes_nothing(config, model):
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(DataError, match='none in records'):
    norm_statistics.estimate(task_with(config, []), model, 2)
  with pytest.raises(InputError, match='0 batches'):
    norm_statistics.estimate(task_with(config, []), model, 0)
  for variable, value in zip(model.variables, before):
    np.testing.assert_array_equal(variable, value)
