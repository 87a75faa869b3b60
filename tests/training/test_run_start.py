"""Tests of the start of a training in a model directory."""

import contextlib
import os

import pytest

from htc_tf.errors import ConfigError
from htc_tf.training import run_start
from tests import tiny_records


@pytest.fixture(name='params', scope='module')
def _params(tmp_path_factory):
  return tiny_records.reduced('htc_nuclei', tiny_records.write(tmp_path_factory.mktemp('records')))


def test_only_one_training_at_a_time_uses_a_model_directory(params, tmp_path, monkeypatch):
  monkeypatch.setattr(run_start, '_SECONDS_OF_STOPPED_RUN', 0)
  model_dir = str(tmp_path / 'model')
  with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
    run_start.prepare('train', model_dir, params, first)
    before = sorted(os.listdir(model_dir))
    with pytest.raises(ConfigError, match=rf'(?s){model_dir}.*process {os.getpid()}.*--model_dir'):
      run_start.prepare('train_and_eval', model_dir, params, second)
    assert sorted(os.listdir(model_dir)) == before
    run_start.prepare('train', str(tmp_path / 'other'), params, second)
    first.close()
    run_start.prepare('train', model_dir, params, second)
  assert '.training.lock' not in os.listdir(model_dir)


def test_a_remote_model_directory_has_no_lock(params, monkeypatch):
  monkeypatch.setattr(run_start, '_SECONDS_OF_STOPPED_RUN', 0)
  with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
    for held in (first, second):
      run_start.prepare('train', 'ram://locks/model', params, held)
