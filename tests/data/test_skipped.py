"""Tests of counting and logging skipped shards, records and instances."""

import functools
import json
import logging as python_logging

import pytest
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.skipped import SkipCounter
from htc_tf.errors import DataError


def test_a_record_counts_once_and_the_log_does_not_fill_up(caplog):
  counter, logged = SkipCounter(), []

  def reason(number):
    logged.append(number)
    return 'is damaged'

  with caplog.at_level(python_logging.WARNING):
    for number in (0, 0, *range(20)):
      counter.add(skipped.RECORDS, f'image id {number}', functools.partial(reason, number))
  assert counter.count(skipped.RECORDS) == 20 and counter.count(skipped.SHARDS) == 0
  names = [record.message.split(':')[0] for record in caplog.records]
  assert names == [f'image id {number}' for number in (0, 1, 3, 7, 15)]
  assert logged == [0, 1, 3, 7, 15]
  assert 'image id 15: is damaged. So far 16 records could not be read' in caplog.text


def test_the_instances_of_all_records_are_summed(caplog):
  counter = SkipCounter()
  for name, number in (('a', 3), ('b', 4), ('a', 3)):
    counter.add(skipped.INSTANCES, name, lambda: 'some', number)
  assert counter.count(skipped.INSTANCES) == 7
  assert 'b: some. So far 7 instances without' in caplog.text


def test_a_shard_that_two_processes_skip_counts_once():
  parts = [SkipCounter(), SkipCounter()]
  for part, names in zip(parts, ('ab', 'bc')):  # Both read the shard b.
    for name in names:
      part.add(skipped.SHARDS, name, lambda: 'is truncated')
  parts[0].add(skipped.INSTANCES, 'd', lambda: 'no box', 3)
  together = SkipCounter()
  for part in parts:
    together.merge(json.loads(json.dumps(part.counts())))
  assert together.count(skipped.SHARDS) == 3
  assert together.count(skipped.INSTANCES) == 3


def test_many_more_unusable_records_than_usable_ones_are_an_error():
  counter = SkipCounter()
  counter.add(skipped.INSTANCES, 'image id 4', lambda: 'no box')
  counter.add(skipped.RECORDS, 'image id 5', lambda: 'no image')
  counter.add(skipped.RECORDS, 'image id 6', lambda: 'no image')
  counter.check_surplus(skipped.MAX_SURPLUS)
  with pytest.raises(
    DataError,
    match=r'The data cannot be used.*Got: 1001 more unusable than usable shards or records'
    '; the first: image id 5: no image.*copy or convert',
  ):
    counter.check_surplus(skipped.MAX_SURPLUS + 1)


def test_a_record_is_named_by_its_image_id_or_its_hash():
  example = tf.train.Example()
  example.features.feature['image/source_id'].bytes_list.value.append(b'42')
  assert skipped.record_name(example.SerializeToString()) == 'image id 42'
  for damaged in (b'', b'\xff\xff', tf.train.Example().SerializeToString()):
    assert skipped.record_name(damaged).startswith(f'record of {len(damaged)} bytes, SHA-1 ')
