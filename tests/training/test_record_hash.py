"""Tests of the hash of records."""

import shutil

import pytest
import tensorflow as tf

from htc_tf.training.record_hash import hash_records


def write(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)
  return str(path)


def test_the_folder_of_the_files_does_not_change_the_hash(tmp_path):
  write(tmp_path / 'a-0.tfrecord', [b'one', b'two'])
  write(tmp_path / 'a-1.tfrecord', [b'three'])
  shutil.copytree(tmp_path, tmp_path / 'copy')
  found = hash_records(str(tmp_path / 'a-*.tfrecord'))
  assert found == hash_records(str(tmp_path / 'copy' / 'a-*.tfrecord'))
  assert found == hash_records([str(tmp_path / 'a-1.tfrecord'), str(tmp_path / 'a-0.tfrecord')])
  assert (found.num_files, found.num_records) == (2, 3)
  assert found.num_bytes == 3 * 16 + len('onetwothree')


@pytest.mark.parametrize(
  'records', [[b'one', b'twO'], [b'two', b'one'], [b'one'], [b'one', b'two', b''], []]
)
def test_other_records_have_another_hash(tmp_path, records):
  same = hash_records(write(tmp_path / 'same', [b'one', b'two']))
  assert hash_records(write(tmp_path / 'other', records)).sha256 != same.sha256


@pytest.mark.parametrize('size', [5, 12, 13, 18, 19 + 7])
def test_a_truncated_file_counts_its_complete_records(tmp_path, size):
  path = write(tmp_path / 'records', [b'one', b'two'])
  complete = hash_records(path)
  with open(path, 'r+b') as file:
    file.truncate(size)
  truncated = hash_records(path)
  assert truncated.num_records == size // 19
  assert truncated.sha256 != complete.sha256


def test_a_record_length_beyond_the_end_of_the_file_is_not_followed(tmp_path):
  path = tmp_path / 'garbage'
  path.write_bytes(b'\xff' * 40)
  assert hash_records(str(path)).num_records == 0
