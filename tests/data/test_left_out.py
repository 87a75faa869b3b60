"""Tests of counting what is left out: once each, and in the log."""

import functools
import json
import logging as python_logging

import pytest
import tensorflow as tf

from htc_tf.data import left_out as left_out_lib
from htc_tf.data.left_out import LeftOut
from htc_tf.errors import DataError


def test_each_counts_once_and_the_log_does_not_fill_up(caplog):
  left_out, asked = LeftOut(), []

  def reason(number):
    asked.append(number)
    return 'is damaged'

  with caplog.at_level(python_logging.WARNING):
    for number in (0, 0, *range(20)):
      left_out.add(left_out_lib.RECORDS, f'image id {number}', functools.partial(reason, number))
  assert left_out.count(left_out_lib.RECORDS) == 20 and left_out.count(left_out_lib.SHARDS) == 0
  names = [record.message.split(':')[0] for record in caplog.records]
  assert names == [f'image id {number}' for number in (0, 1, 3, 7, 15)]
  assert asked == [0, 1, 3, 7, 15]
  assert 'image id 15: is damaged. So far 16 records that could not be read' in caplog.text


def test_instances_are_summed(caplog):
  left_out = LeftOut()
  for name, number in (('a', 3), ('b', 4), ('a', 3)):
    left_out.add(left_out_lib.INSTANCES, name, lambda: 'some', number)
  assert left_out.count(left_out_lib.INSTANCES) == 7
  assert 'b: some. So far 7 instances without' in caplog.text


def test_what_two_processes_left_out_counts_once():
  parts = [LeftOut(), LeftOut()]
  for part, names in zip(parts, ('ab', 'bc')):  # Both read the shard b.
    for name in names:
      part.add(left_out_lib.SHARDS, name, lambda: 'is cut off')
  parts[0].add(left_out_lib.INSTANCES, 'd', lambda: 'no box', 3)
  together = LeftOut()
  for part in parts:
    together.absorb(json.loads(json.dumps(part.numbers())))
  assert together.count(left_out_lib.SHARDS) == 3
  assert together.count(left_out_lib.INSTANCES) == 3


def test_much_more_unusable_than_usable_stops():
  left_out = LeftOut()
  left_out.add(left_out_lib.INSTANCES, 'image id 4', lambda: 'no box')
  left_out.add(left_out_lib.RECORDS, 'image id 5', lambda: 'no picture')
  left_out.add(left_out_lib.RECORDS, 'image id 6', lambda: 'no picture')
  left_out.check_surplus(left_out_lib.MAX_SURPLUS)
  with pytest.raises(
    DataError,
    match=r'the data cannot be used.*Got: 1001 more shards or records '
    'that cannot.*; the first: image id 5: no picture.*copy or convert',
  ):
    left_out.check_surplus(left_out_lib.MAX_SURPLUS + 1)


def test_names_of_records():
  example = tf.train.Example()
  example.features.feature['image/source_id'].bytes_list.value.append(b'42')
  assert left_out_lib.record_name(example.SerializeToString()) == 'image id 42'
  for damaged in (b'', b'\xff\xff', tf.train.Example().SerializeToString()):
    assert left_out_lib.record_name(damaged).startswith(f'record of {len(damaged)} bytes, SHA-1 ')
