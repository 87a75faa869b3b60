"""Tests of what must be so before workers run together."""

import json

import pytest
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
def test_workers_that_are_not_named(params, monkeypatch, content):
  if content is None:
    monkeypatch.delenv('TF_CONFIG', raising=False)
  else:
    monkeypatch.setenv('TF_CONFIG', content)
  with pytest.raises(ConfigError, match=r'does not know its workers.*TF_CONFIG'):
    cluster.check_workers(params, 'train')


def test_modes_and_options_for_workers(params, monkeypatch):
  monkeypatch.setenv(
    'TF_CONFIG',
    json.dumps({'cluster': {'worker': ['one:1', 'two:1']}, 'task': {'type': 'worker', 'index': 1}}),
  )
  for mode in ('train', 'eval', 'train_and_eval'):
    cluster.check_workers(params, mode)
  with pytest.raises(ConfigError, match='continuous_eval is not for several workers'):
    cluster.check_workers(params, 'continuous_eval')
  params.trainer.best_checkpoint_export_subdir = 'best'
  with pytest.raises(ConfigError, match='best_checkpoint_export_subdir is not for several'):
    cluster.check_workers(params, 'train')


def test_batches_are_shared_equally(params):
  cluster.check_batches(params, 'train_and_eval', 4)
  params.task.validation_data.global_batch_size = 6
  cluster.check_batches(params, 'train', 4)
  with pytest.raises(ConfigError, match=r'validation_data.*multiple of 4.*Got: 6'):
    cluster.check_batches(params, 'eval', 4)
