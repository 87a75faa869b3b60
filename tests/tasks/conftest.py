"""Records that the tests of a task share."""

import pytest

from tests import tiny_records


@pytest.fixture(scope='session')
def records(tmp_path_factory) -> str:
  """Pattern of the records of four pictures."""
  return tiny_records.write(tmp_path_factory.mktemp('records'))


@pytest.fixture(scope='session')
def one_record(tmp_path_factory) -> str:
  """Pattern of the record of one picture with two instances."""
  return tiny_records.write(tmp_path_factory.mktemp('record'), num_pictures=1)
