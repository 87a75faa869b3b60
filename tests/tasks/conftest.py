"""Fixtures of the tests of the task: records."""

import pytest

from tests import tiny_records


@pytest.fixture(scope='session')
def records(tmp_path_factory) -> str:
  """Pattern of the records of four images."""
  return tiny_records.write(tmp_path_factory.mktemp('records'))


@pytest.fixture(scope='session')
def one_record(tmp_path_factory) -> str:
  """Pattern of the record of one image with two instances."""
  return tiny_records.write(tmp_path_factory.mktemp('record'), num_images=1)
