"""A small experiment whose training records exist, for tests of checks."""

import pytest
from official.core import exp_factory

from tests import tiny
from tests.configs import empty_records


@pytest.fixture
def experiment(tmp_path):
  """A small experiment whose training records exist."""
  empty_records.write(tmp_path)
  params = exp_factory.get_exp_config('htc_nuclei')
  params.task.model = tiny.model()
  params.task.train_data.input_path = str(tmp_path / 'train-*.tfrecord')
  params.task.validation_data.input_path = str(tmp_path / 'val-*.tfrecord')
  return params
