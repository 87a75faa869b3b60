"""Tests of the checks of a run with several workers."""

import json

import pytest
import tensorflow as tf
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.errors import ConfigError
from htc_tf.training import cluster


@pytest.fixture
def params():
  return exp_factory.get_exp_config('htc_nuclei')


@pytest.mark.parametrize(
  'content',
  [
    None,
    '',
    '{"cluster"',
    '[]',
    '{"cluster": {"worker": ["one:1"]}}',
    '{"cluster": {"worker": ["one:1"]}, "task": {"type": "worker", "index": 1}}',
    '{"cluster": {"worker": ["one:1"]}, "task": {"type": "evaluator", "index": 0}}',
  ],
)
def test_a_tf_config_that_does_not_name_this_worker_is_an_error(params, monkeypatch, content):
  if content is None:
    monkeypatch.delenv('TF_CONFIG', raising=False)
  else:
    monkeypatch.setenv('TF_CONFIG', content)
  with pytest.raises(ConfigError, match='needs a TF_CONFIG that names the workers'):
    cluster.check_workers(params, 'train')


def test_modes_and_options_that_do_not_work_with_workers_are_errors(params, monkeypatch):
  monkeypatch.setenv(
    'TF_CONFIG',
    json.dumps({'cluster': {'worker': ['one:1', 'two:1']}, 'task': {'type': 'worker', 'index': 1}}),
  )
  for mode in ('train', 'eval', 'train_and_eval'):
    cluster.check_workers(params, mode)
  with pytest.raises(ConfigError, match='continuous_eval does not work with several workers'):
    cluster.check_workers(params, 'continuous_eval')
  params.trainer.best_checkpoint_export_subdir = 'best'
  with pytest.raises(ConfigError, match='best_checkpoint_export_subdir does not work with'):
    cluster.check_workers(params, 'train')


def test_a_batch_that_replicas_cannot_share_equally_is_an_error(params):
  cluster.check_batches(params, 'train_and_eval', 4)
  params.task.validation_data.global_batch_size = 6
  cluster.check_batches(params, 'train', 4)
  with pytest.raises(ConfigError, match=r'validation_data.*multiple of 4.*Got: 6'):
    cluster.check_batches(params, 'eval', 4)


@pytest.fixture
def gpus(monkeypatch):
  """A function that sets the number of GPUs that TensorFlow finds."""

  def set_number(number):
    devices = [object()] * number
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: devices)

  return set_number


@pytest.mark.parametrize('found', [0, 2])
def test_more_gpus_than_there_are_is_an_error(params, gpus, found):
  gpus(found)
  params.runtime.num_gpus = found + 1
  with pytest.raises(ConfigError, match=rf'Expected: at most {found}. Got: {found + 1}'):
    cluster.check_devices(params.runtime)


@pytest.mark.parametrize('strategy', ['one_device', 'off'])
def test_one_device_has_one_gpu(params, gpus, strategy):
  gpus(2)
  params.override({'runtime': {'num_gpus': 2, 'distribution_strategy': strategy}})
  with pytest.raises(ConfigError, match=r'uses one device.*mirrored'):
    cluster.check_devices(params.runtime)


@pytest.mark.parametrize(
  'found,used,message', [(2, 0, 'the CPU'), (2, 1, '1 GPUs'), (2, 2, ''), (0, 0, '')]
)
def test_unused_gpus_are_named(params, gpus, caplog, found, used, message):
  gpus(found)
  params.runtime.num_gpus = used
  cluster.check_devices(params.runtime)
  assert (f'This run uses {message}' in caplog.text) == bool(message)
  assert ('runtime.num_gpus=2' in caplog.text) == bool(message)
