"""Tests of the files of figures of finished runs."""

import pytest

from benchmarks import recorded_runs
from htc_tf.errors import ConfigError


def test_a_file_keeps_the_chosen_entries_for_the_same_settings(tmp_path):
  path = str(tmp_path / 'figures.json')
  assert recorded_runs.read('', {}) == recorded_runs.read(path, {}) == {}
  results = {'b': {'AP': 0.5, 'curve': [1]}, 'a': {'curve': [2]}}
  recorded_runs.write(path, {'epochs': 2}, results, ['AP', 'seconds'])
  assert recorded_runs.read(path, {'epochs': 2}) == {'a': {}, 'b': {'AP': 0.5}}
  with pytest.raises(ConfigError, match='"epochs": 3'):
    recorded_runs.read(path, {'epochs': 3})
