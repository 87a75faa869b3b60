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


def tf_config(num_workers, kind='worker'):
  hosts = [f'host{index}:1' for index in range(num_workers)]
  return json.dumps({'cluster': {'worker': hosts}, 'task': {'type': kind, 'index': 0}})


def test_a_mode_that_does_not_work_with_workers_is_an_error(params, monkeypatch):
  monkeypatch.setenv('TF_CONFIG', tf_config(2))
  for mode in ('train', 'eval', 'train_and_eval'):
    cluster.check_workers(params, mode)
  with pytest.raises(ConfigError, match='continuous_eval does not work with several workers'):
    cluster.check_workers(params, 'continuous_eval')


@pytest.mark.parametrize('size', ['htc_nano', 'htc_base'])
@pytest.mark.parametrize('mode', ['train', 'train_and_eval'])
def test_a_worker_does_not_train_alone_in_the_directory_of_all(monkeypatch, size, mode):
  """By default a size trains on one machine, so that every worker would be a run of its own."""
  runtime = exp_factory.get_exp_config(size).runtime
  monkeypatch.setenv('TF_CONFIG', tf_config(2))
  with pytest.raises(ConfigError, match=r'names 2 workers.*=multi_worker_mirrored on all workers'):
    cluster.check_alone(runtime, mode)


@pytest.mark.parametrize(
  'content,mode',
  [
    ('', 'train'),
    (tf_config(1), 'train'),
    (tf_config(2), 'eval'),
    (tf_config(2, 'evaluator'), 'continuous_eval'),
    ('{"cluster"', 'train'),
  ],
)
def test_a_single_process_runs_alone(params, monkeypatch, content, mode):
  monkeypatch.setenv('TF_CONFIG', content)
  cluster.check_alone(params.runtime, mode)


def test_a_batch_that_replicas_cannot_share_equally_is_an_error(params):
  cluster.check_batches(params, 'train_and_eval', 4)
  params.task.validation_data.global_batch_size = 6
  cluster.check_batches(params, 'train', 4)
  with pytest.raises(
    ConfigError, match=r'multiple of 4.*Got: 6.*set task.validation_data.global_batch_size=8'
  ):
    cluster.check_batches(params, 'eval', 4)


@pytest.mark.parametrize(
  'mode, compiled, synchronized, replicas, is_refused',
  [
    ('train', True, True, 2, True),
    ('train_and_eval', True, True, 2, True),
    ('eval', True, True, 2, False),
    ('train', False, True, 2, False),
    ('train', True, False, 2, False),
    ('train', True, True, 1, False),
  ],
)
def test_norms_that_exchange_values_are_not_compiled(
  params, mode, compiled, synchronized, replicas, is_refused
):
  params.runtime.enable_xla = compiled
  params.task.model.norm_activation.use_sync_bn = synchronized
  if not is_refused:
    cluster.check_compiled_norms(params, mode, replicas)
    return
  with pytest.raises(ConfigError, match=r'enable_xla=false, or .*use_sync_bn=false.*2 replicas'):
    cluster.check_compiled_norms(params, mode, replicas)


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
