"""Tests of epochs that are whole permutations."""

import os

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.permutation import PermutedReading, Share, permuted_numbers
from htc_tf.data.record_index import index_records
from htc_tf.data.skipped import SkipCounter

NUM_RECORDS = 11
WHOLE = Share()


def numbers(count, seed=3, share=WHOLE, num_read=0, num_records=NUM_RECORDS):
  dataset = permuted_numbers(num_records, seed, share, num_read).take(count)
  return [int(number) for number in dataset.as_numpy_iterator()]


@pytest.fixture(name='index')
def _index(tmp_path):
  """Three files of 4, 0 and 7 records, whose contents are their numbers in decimal."""
  number = 0
  for name, count in (('a', 4), ('b', 0), ('c', 7)):
    with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
      for _ in range(count):
        writer.write(str(number).encode())
        number += 1
  return index_records([str(tmp_path / name) for name in 'abc'], SkipCounter())


def test_every_epoch_has_every_number_once_in_another_order():
  epochs = np.reshape(numbers(3 * NUM_RECORDS), [3, NUM_RECORDS]).tolist()
  assert all(sorted(epoch) == list(range(NUM_RECORDS)) for epoch in epochs)
  assert len({tuple(epoch) for epoch in [*epochs, list(range(NUM_RECORDS))]}) == 4


def test_the_order_depends_on_the_seed_alone():
  assert numbers(30) == numbers(30)
  assert numbers(30) != numbers(30, seed=4)


@pytest.mark.parametrize('num_read', [1, 10, 11, 12, 35])
def test_reading_continues_at_its_place(num_read):
  assert numbers(20, num_read=num_read) == numbers(num_read + 20)[num_read:]


@pytest.mark.parametrize('num_workers', [2, 3, 14])
def test_workers_share_an_epoch(num_workers):
  """As PyTorch's DistributedSampler: each n-th record, and the first ones again at the end."""
  size = -(-NUM_RECORDS // num_workers)
  shares = [numbers(2 * size, share=Share(i, num_workers)) for i in range(num_workers)]
  whole = np.reshape(numbers(2 * NUM_RECORDS), [2, NUM_RECORDS])
  for epoch, order in enumerate(whole):
    found = np.array([share[epoch * size : (epoch + 1) * size] for share in shares])
    padded = [*order, *order][: size * num_workers]
    np.testing.assert_array_equal(found.T.reshape(-1), padded)  # [size, num_workers] -> [all]


def test_a_worker_continues_at_its_place():
  share = Share(1, 2)
  assert numbers(9, share=share, num_read=8) == numbers(17, share=share)[8:]


def test_one_record_is_read_again_and_again():
  assert numbers(3, num_records=1) == [0, 0, 0]


def read(index, wanted, counter=None):
  reading = PermutedReading(index, counter or SkipCounter())
  return list(reading.read(wanted).as_numpy_iterator())


def test_records_are_read_in_the_order_of_their_numbers(index):
  order = numbers(2 * NUM_RECORDS)
  wanted = permuted_numbers(NUM_RECORDS, seed=3).take(len(order))
  assert read(index, wanted) == [str(number).encode() for number in order]


def test_records_are_read_in_a_graph(index):
  wanted = permuted_numbers(NUM_RECORDS, seed=3).take(NUM_RECORDS)

  @tf.function(autograph=False)
  def join():
    records = PermutedReading(index, SkipCounter()).read(wanted)
    return records.reduce('', lambda joined, record: joined + record)

  assert join().numpy() == b''.join(str(number).encode() for number in numbers(NUM_RECORDS))


def test_a_damaged_record_is_left_out_alone_and_counted_once(index):
  path, offset = index.paths[2], int(index.offsets[6])
  with open(path, 'r+b') as file:
    file.seek(offset + 12)
    file.write(b'x')
  counter = SkipCounter()
  found = read(index, tf.data.Dataset.range(NUM_RECORDS).repeat(2), counter)
  assert found == [str(number).encode() for number in range(NUM_RECORDS) if number != 6] * 2
  assert counter.counts()[skipped.RECORDS] == {f'{path}, byte {offset}': 1}


def test_a_file_that_vanishes_is_counted_and_no_record_at_all_is_an_error(index):
  os.remove(index.paths[0])
  counter = SkipCounter()
  assert len(read(index, tf.data.Dataset.range(NUM_RECORDS), counter)) == 7
  assert counter.count(skipped.RECORDS) == 4
  os.remove(index.paths[2])
  with pytest.raises(tf.errors.InvalidArgumentError, match='none of 11 records'):
    read(index, permuted_numbers(NUM_RECORDS, seed=3))
