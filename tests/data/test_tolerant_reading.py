"""Tests of skipping damaged shards and records, in tf.data."""

import pathlib

import pytest
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.skipped import RECORDS, SHARDS, SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY, TolerantReading, as_element
from htc_tf.errors import DataError

RECORD_OVERHEAD = 16  # bytes


def parse(element):
  """An image and labels of a number below 10; raises for other numbers and for text."""
  value = tf.strings.to_number(element[RECORD_KEY], tf.int32)
  with tf.control_dependencies([tf.debugging.assert_less(value, 10, 'too large')]):
    return tf.fill([2, 3], value), {'twice': value * 2}


@pytest.fixture(name='counter')
def _counter():
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
  """Paths of three shards with four records each, 'a0' to 'c3'."""
  return [
    write(folder / f'{name}.tfrecord', [b'%s%d' % (name.encode(), i) for i in range(4)])
    for name in 'abc'
  ]


def truncate(data):
  """The bytes of a shard up to the middle of the third record."""
  return data[: 2 * (2 + RECORD_OVERHEAD) + 13]


def corrupt(data):
  """The bytes of a shard with a changed byte in the content of the third record."""
  place = 2 * (2 + RECORD_OVERHEAD) + 12
  return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def corrupt_length(data):
  """The bytes of a shard with a changed length of the third record."""
  place = 2 * (2 + RECORD_OVERHEAD)
  return data[:place] + b'\x7f' + data[place + 1 :]


def read(reading, paths):
  return [record.decode() for record in reading.read_shards(paths).as_numpy_iterator()]


def test_intact_shards_are_read_completely(tmp_path, reading, counter):
  paths = shards(tmp_path)
  expected = [f'{name}{index}' for name in 'abc' for index in range(4)]
  assert read(reading, paths) == expected
  dataset = tf.data.Dataset.from_tensor_slices(paths).interleave(reading.read_shards)
  assert sorted(record.decode() for record in dataset.as_numpy_iterator()) == expected
  assert not counter.count(SHARDS)


@pytest.mark.parametrize('damage', [truncate, corrupt, corrupt_length])
def test_a_damaged_shard_gives_the_records_before_the_damage(
  tmp_path, reading, counter, damage, caplog
):
  paths = shards(tmp_path)
  data = (tmp_path / 'b.tfrecord').read_bytes()
  (tmp_path / 'b.tfrecord').write_bytes(damage(data))
  expected = ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'c0', 'c1', 'c2', 'c3']
  for _ in range(2):
    assert read(reading, paths) == expected
  assert counter.count(SHARDS) == 1
  assert 'b.tfrecord: truncated or damaged after 36 of ' in caplog.text


def test_a_missing_shard_counts_as_skipped_but_an_empty_one_does_not(tmp_path, reading, counter):
  paths = shards(tmp_path)
  (tmp_path / 'a.tfrecord').unlink()
  (tmp_path / 'b.tfrecord').write_bytes(b'')
  assert read(reading, paths) == ['c0', 'c1', 'c2', 'c3']
  assert counter.count(SHARDS) == 1


@pytest.fixture(name='small_surplus')
def _small_surplus(monkeypatch):
  """A limit of 5, instead of 1000, on how far unusable records may outnumber usable ones."""
  monkeypatch.setattr(skipped, 'MAX_SURPLUS', 5)


@pytest.mark.parametrize(
  'damage',
  [
    lambda path: path.write_bytes(bytes(100)),
    lambda path: path.write_bytes(b''),
    lambda path: path.unlink(),
  ],
)
def test_repeated_shards_without_a_record_are_an_error(tmp_path, reading, small_surplus, damage):
  del small_surplus
  paths = shards(tmp_path)[:2]
  for path in paths:
    damage(pathlib.Path(path))
  with pytest.raises(
    tf.errors.InvalidArgumentError, match=r'DataError: The data cannot be used.*6 more unusable'
  ):
    list(tf.data.Dataset.from_tensor_slices(paths).repeat().interleave(reading.read_shards))


def parse_all(reading, records):
  dataset = tf.data.Dataset.from_tensor_slices(records).map(as_element)
  return reading.parse(dataset)


def test_records_that_cannot_be_parsed_are_skipped(reading, counter, caplog):
  dataset = parse_all(reading, ['1', 'x', '2', '', '3', '11'])
  assert dataset.element_spec[0].shape == [2, 3]
  assert [int(labels['twice']) for _, labels in dataset] == [2, 4, 6]
  assert counter.count(RECORDS) == 3
  assert 'record of 1 bytes, SHA-1' in caplog.text
  assert 'cannot be parsed (StringToNumberOp could not correctly convert string: x)' in caplog.text


def test_the_log_gives_the_reason_of_a_failure(reading, caplog):
  list(parse_all(reading, ['11', '1']))
  assert 'cannot be parsed (too large' in caplog.text


@pytest.mark.parametrize('records', [['x'], ['x', 'y', 'z']])
def test_data_without_a_usable_record_is_an_error(reading, records):
  with pytest.raises(
    tf.errors.InvalidArgumentError,
    match=r'DataError: The data cannot.*the end of the data after 0 records; the '
    'first: record of 1 bytes.*StringToNumberOp',
  ):
    list(parse_all(reading, records))


def test_a_process_may_have_no_record_at_all(reading):
  assert not list(parse_all(reading, tf.zeros([0], tf.string)))


def test_the_end_of_data_that_should_repeat_is_an_error():
  reading = TolerantReading(parse, SkipCounter(), repeats=True)
  iterator = iter(parse_all(reading, ['1', '2']))
  for _ in range(2):
    next(iterator)
  with pytest.raises(tf.errors.InvalidArgumentError, match='end of the data after 2 records'):
    next(iterator)


def test_repeated_records_that_cannot_be_parsed_are_an_error(reading, small_surplus):
  del small_surplus
  dataset = tf.data.Dataset.from_tensors('x').repeat().map(as_element)
  with pytest.raises(
    tf.errors.InvalidArgumentError, match=r'DataError: The data cannot be used.*6 more unusable'
  ):
    list(reading.parse(dataset))


def test_a_third_of_the_records_may_be_unusable(reading, counter, small_surplus):
  del small_surplus
  dataset = tf.data.Dataset.from_tensor_slices(['x', '1', '2']).repeat(50)
  parsed = reading.parse(dataset.map(as_element))
  assert len(list(parsed)) == 100 and counter.count(RECORDS) == 1


def test_two_thirds_of_the_records_must_not_be_unusable(reading, small_surplus):
  del small_surplus
  dataset = tf.data.Dataset.from_tensor_slices(['x', '1', 'y']).repeat(50)
  with pytest.raises(tf.errors.InvalidArgumentError, match='DataError: The data cannot be used'):
    list(reading.parse(dataset.map(as_element)))


def test_check_usable_reads_up_to_the_first_usable_record(tmp_path, reading, counter):
  path = write(tmp_path / 'a.tfrecord', [b'x', b'1', b'y'])
  other = write(tmp_path / 'b.tfrecord', [b'z'])
  reading.check_usable([other, path])
  assert counter.count(RECORDS) == 2


@pytest.mark.parametrize('content', [b'', b'damaged', None])
def test_check_usable_fails_if_no_record_is_usable(tmp_path, reading, content):
  paths = [write(tmp_path / 'a.tfrecord', [b'x', b'y'])]
  if content is not None:
    (tmp_path / 'a.tfrecord').write_bytes(content)
  expected = {
    b'': 'none in 1 files. ',
    b'damaged': 'none in 1 files; the first: .*a.tfrecord: truncated or damaged after 0 of 7 bytes',
    None: 'none in 1 files; the first: record of 1 bytes, .*: cannot be parsed',
  }
  with pytest.raises(DataError, match=f'The data cannot be used.*{expected[content]}'):
    reading.check_usable(paths)


def test_check_usable_stops_after_many_unusable_records(tmp_path, reading, small_surplus):
  del small_surplus
  path = write(tmp_path / 'a.tfrecord', [*(b'x%d' % number for number in range(6)), b'1'])
  with pytest.raises(DataError, match='6 more unusable than usable'):
    reading.check_usable([path])
