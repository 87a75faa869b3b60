"""A small experiment whose training records exist, and a folder of records, for tests of checks."""

import pytest
from official.core import exp_factory

from tests import tiny, tiny_records
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


@pytest.fixture(scope='session')
def data(tmp_path_factory):
  """A folder of records for training and validation: four and one images of 64 x 64 pixels."""
  folder = tmp_path_factory.mktemp('own')
  tiny_records.write(folder)
  tiny_records.write(folder, 'val', 1)
  return str(folder / 'records')
