"""Tests of runs that keep what is finished."""

import json

import pytest

from benchmarks import kept_runs
from htc_tf.errors import ConfigError, TrainingError


def test_settings_are_written_once_and_compared_later(tmp_path):
  path = tmp_path / 'settings.json'
  kept_runs.keep_settings(str(path), {'epochs': 12, 'seed': 0})
  kept_runs.keep_settings(str(path), {'epochs': 12, 'seed': 0})
  with pytest.raises(ConfigError, match=r'settings\.json .*Expected: {"epochs": 6}.*Got: .*12'):
    kept_runs.keep_settings(str(path), {'epochs': 6, 'seed': 0})
  assert json.loads(path.read_text()) == {'epochs': 12, 'seed': 0}


def test_a_command_gets_its_environment(tmp_path):
  log = tmp_path / 'log.txt'
  kept_runs.call(['/bin/sh', '-c', 'echo $NAME'], str(log), {'NAME': 'value'})
  assert log.read_text() == 'value\n'


def test_a_failed_training_shows_the_end_of_its_log(tmp_path):
  log = tmp_path / 'log.txt'
  with pytest.raises(TrainingError, match=r'status 3(.|\n)*no such thing'):
    kept_runs.call(['sh', '-c', 'echo no such thing; exit 3'], str(log))
  assert log.read_text() == 'no such thing\n'
