"""Tests of leaving out damaged shards and records, within tf.data."""

import pathlib

import pytest
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.skipped import RECORDS, SHARDS, SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY, TolerantReading, as_element
from htc_tf.errors import DataError

FRAMING = 16


def parse(element):
  """An image and labels of a number below 10; raises for another and for text."""
  value = tf.strings.to_number(element[RECORD_KEY], tf.int32)
  with tf.control_dependencies([tf.debugging.assert_less(value, 10, 'too large')]):
    return tf.fill([2, 3], value), {'twice': value * 2}


@pytest.fixture(name='counter')
def _skipped():
  return SkipCounter()


@pytest.fixture(name='reading')
def _reading(counter):
  return TolerantReading(parse, counter, repeats=False)


def write(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)
  return str(path)


def shards(folder):
  return [
    write(folder / f'{name}.tfrecord', [b'%s%d' % (name.encode(), i) for i in range(4)])
    for name in 'abc'
  ]


def cut(data):
  """In the third record."""
  return data[: 2 * (2 + FRAMING) + 13]


def corrupt(data):
  """A byte of the third record's contents."""
  place = 2 * (2 + FRAMING) + 12
  return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def corrupt_length(data):
  place = 2 * (2 + FRAMING)
  return data[:place] + b'\x7f' + data[place + 1 :]


def read(reading, paths):
  return [record.decode() for record in reading.read_shards(paths).as_numpy_iterator()]


def test_sound_shards_are_read_as_they_are(tmp_path, reading, counter):
  paths = shards(tmp_path)
  expected = [f'{name}{index}' for name in 'abc' for index in range(4)]
  assert read(reading, paths) == expected
  dataset = tf.data.Dataset.from_tensor_slices(paths).interleave(reading.read_shards)
  assert sorted(record.decode() for record in dataset.as_numpy_iterator()) == expected
  assert not counter.count(SHARDS)


@pytest.mark.parametrize('damage', [cut, corrupt, corrupt_length])
def test_a_damaged_shard_gives_what_stands_before(tmp_path, reading, counter, damage, caplog):
  paths = shards(tmp_path)
  data = (tmp_path / 'b.tfrecord').read_bytes()
  (tmp_path / 'b.tfrecord').write_bytes(damage(data))
  expected = ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'c0', 'c1', 'c2', 'c3']
  for _ in range(2):
    assert read(reading, paths) == expected
  assert counter.count(SHARDS) == 1
  assert 'b.tfrecord: truncated or damaged after 36 of ' in caplog.text


def test_a_missing_shard_and_an_empty_one(tmp_path, reading, counter):
  paths = shards(tmp_path)
  (tmp_path / 'a.tfrecord').unlink()
  (tmp_path / 'b.tfrecord').write_bytes(b'')
  assert read(reading, paths) == ['c0', 'c1', 'c2', 'c3']
  assert counter.count(SHARDS) == 1  # Nothing is missing of the empty one.


@pytest.fixture(name='few')
def _few(monkeypatch):
  monkeypatch.setattr(skipped, 'MAX_SURPLUS', 5)


@pytest.mark.parametrize(
  'damage',
  [
    lambda path: path.write_bytes(bytes(100)),
    lambda path: path.write_bytes(b''),
    lambda path: path.unlink(),
  ],
)
def test_shards_without_a_record_stop_instead_of_turning_for_ever(tmp_path, reading, few, damage):
  del few
  paths = shards(tmp_path)[:2]
  for path in paths:
    damage(pathlib.Path(path))
  with pytest.raises(
    tf.errors.InvalidArgumentError, match=r'DataError: the data cannot be used.*6 more shards'
  ):
    list(tf.data.Dataset.from_tensor_slices(paths).repeat().interleave(reading.read_shards))


def parsed(reading, records):
  dataset = tf.data.Dataset.from_tensor_slices(records).map(as_element)
  return reading.parse(dataset)


def test_records_that_cannot_be_parsed_are_skipped(reading, counter, caplog):
  dataset = parsed(reading, ['1', 'x', '2', '', '3', '11'])
  assert dataset.element_spec[0].shape == [2, 3]
  assert [int(labels['twice']) for _, labels in dataset] == [2, 4, 6]
  assert counter.count(RECORDS) == 3
  assert 'record of 1 bytes, SHA-1' in caplog.text
  assert 'cannot be parsed (StringToNumberOp could not correctly convert string: x)' in caplog.text


def test_the_log_says_why_a_record_fails(reading, caplog):
  list(parsed(reading, ['11', '1']))
  assert 'cannot be parsed (too large' in caplog.text


@pytest.mark.parametrize('records', [['x'], ['x', 'y', 'z']])
def test_an_end_without_a_record_is_an_error(reading, records):
  with pytest.raises(
    tf.errors.InvalidArgumentError,
    match=r'DataError: the data cannot.*the end of the data after 0 records; the '
    'first: record of 1 bytes.*StringToNumberOp',
  ):
    list(parsed(reading, records))


def test_no_record_at_all_is_the_share_of_a_process(reading):
  assert not list(parsed(reading, tf.zeros([0], tf.string)))


def test_data_that_repeat_must_not_end():
  reading = TolerantReading(parse, SkipCounter(), repeats=True)
  iterator = iter(parsed(reading, ['1', '2']))
  for _ in range(2):
    next(iterator)
  with pytest.raises(tf.errors.InvalidArgumentError, match='end of the data after 2 records'):
    next(iterator)


def test_records_of_which_none_can_be_parsed_stop(reading, few):
  del few
  dataset = tf.data.Dataset.from_tensors('x').repeat().map(as_element)
  with pytest.raises(
    tf.errors.InvalidArgumentError, match=r'DataError: the data cannot be used.*6 more shards'
  ):
    list(reading.parse(dataset))


def test_a_third_of_the_records_may_be_broken(reading, counter, few):
  del few
  dataset = tf.data.Dataset.from_tensor_slices(['x', '1', '2']).repeat(50)
  parsed_ones = reading.parse(dataset.map(as_element))
  assert len(list(parsed_ones)) == 100 and counter.count(RECORDS) == 1


def test_two_thirds_of_the_records_may_not(reading, few):
  del few
  dataset = tf.data.Dataset.from_tensor_slices(['x', '1', 'y']).repeat(50)
  with pytest.raises(tf.errors.InvalidArgumentError, match='DataError: the data cannot be used'):
    list(reading.parse(dataset.map(as_element)))


def test_check_usable_reads_up_to_the_first_usable_record(tmp_path, reading, counter):
  path = write(tmp_path / 'a.tfrecord', [b'x', b'1', b'y'])
  other = write(tmp_path / 'b.tfrecord', [b'z'])
  reading.check_usable([other, path])
  assert counter.count(RECORDS) == 2


@pytest.mark.parametrize('content', [b'', b'damaged', None])
def test_check_usable_says_that_nothing_is(tmp_path, reading, content):
  paths = [write(tmp_path / 'a.tfrecord', [b'x', b'y'])]
  if content is not None:
    (tmp_path / 'a.tfrecord').write_bytes(content)
  expected = {
    b'': 'none in 1 files. ',
    b'damaged': 'none in 1 files; the first: .*a.tfrecord: truncated or damaged after 0 of 7 bytes',
    None: 'none in 1 files; the first: record of 1 bytes, .*: cannot be parsed',
  }
  with pytest.raises(DataError, match=f'the data cannot be used.*{expected[content]}'):
    reading.check_usable(paths)


def test_check_usable_does_not_search_for_ever(tmp_path, reading, few):
  del few
  path = write(tmp_path / 'a.tfrecord', [*(b'x%d' % number for number in range(6)), b'1'])
  with pytest.raises(DataError, match='6 more shards or records'):
    reading.check_usable([path])
