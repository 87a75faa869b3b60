"""Tests of the places of records in TFRecord files."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.record_index import index_records
from htc_tf.data.skipped import SkipCounter
from htc_tf.errors import DataError


def write(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)
  return str(path)


def test_offsets_follow_from_the_lengths_and_files_are_sorted(tmp_path):
  """A record takes 16 bytes more than its data."""
  second = write(tmp_path / 'b', [b'1234'])
  first = write(tmp_path / 'a', [b'12', b'', b'123'])
  empty = write(tmp_path / 'c', [])
  counter = SkipCounter()
  index = index_records([second, empty, first], counter)
  assert index.paths == (first, second, empty)
  assert index.num_records == 4
  np.testing.assert_array_equal(index.files, [0, 0, 0, 1])
  np.testing.assert_array_equal(index.offsets, [0, 18, 34, 0])
  assert counter.count(skipped.SHARDS) == 0


@pytest.mark.parametrize('num_bytes', [1, 13, 17])
def test_the_rest_of_a_truncated_file_is_counted(tmp_path, num_bytes):
  """The cut lies in the header, in the data, and in the last checksum."""
  path = tmp_path / 'a'
  write(path, [b'12', b'12'])
  path.write_bytes(path.read_bytes()[: 18 + num_bytes])
  counter = SkipCounter()
  assert index_records([str(path)], counter).offsets.tolist() == [0]
  assert counter.count(skipped.SHARDS) == 1


def test_a_missing_file_is_counted(tmp_path):
  counter = SkipCounter()
  index = index_records([str(tmp_path / 'none'), write(tmp_path / 'a', [b'12'])], counter)
  assert index.num_records == 1
  assert counter.count(skipped.SHARDS) == 1


def test_files_without_records_are_an_error(tmp_path):
  """A compressed file has no length that fits into it at its first byte."""
  path = tmp_path / 'a'
  write(path, [b'12'])
  path.write_bytes(gzip.compress(path.read_bytes()))
  with pytest.raises(DataError, match=r'no record in 1 files; the first: .*after 0 of'):
    index_records([str(path)], SkipCounter())
