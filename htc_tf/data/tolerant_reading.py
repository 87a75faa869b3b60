"""Reading of records that skips and counts unreadable shards and records.

`ignore_errors` around a whole pipeline would skip them too, but neither count nor name them. Python
is called for failures, at the start and end of each shard and at the end of the data, but never for
an intact record.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.fallback import dataset_or_fallback, zeros_like_spec
from htc_tf.data.skipped import SkipCounter
from htc_tf.ops.without_autograph import without_autograph

Tensors = dict[str, tf.Tensor]
RECORD_KEY = 'serialized'
# Number of bytes around each record of a TFRecord file: its length and two checksums.
_RECORD_OVERHEAD = 16
_FAILED, _PARSED, _END = range(3)
# Names of ops, which TensorFlow adds to error messages.
_OP_NAMES = re.compile(r'\{\{.*?\}\} ?| ?\[Op:.*')


class TolerantReading:
  """The steps of an input pipeline that skip and count unreadable shards and records.

  The steps are `read_shards`, `as_element` and `parse`, in this order. In between, elements may be
  shuffled and may get further entries.

  Args:
    parse: function from an element, a dictionary with the serialized record in `RECORD_KEY`, to
      nested tensors. Its ops may raise; its random ops must be stateless. Autograph does not
      convert it.
    counter: counter of the shards and records that this process skips.
    repeats: whether the pipeline repeats its data, so that the end of the data is an error.
  """

  def __init__(self, parse: Callable[[Tensors], Any], counter: SkipCounter, repeats: bool):
    self._parse = parse
    self._counter = counter
    self._repeats = repeats
    self._empty_shards = 0

  def check_usable(self, paths: Sequence[str]) -> None:
    """Read records until one of them can be used.

    Args:
      paths: paths of the shards.

    Raises:
      DataError: no record can be used.
    """
    for number, record in enumerate(self.read_shards(paths).as_numpy_iterator(), 1):
      if self._reason_unusable(record) is None:
        return
      self._count_record(record)
      self._counter.check_surplus(number)
    raise self._counter.unusable(f'none in {len(paths)} files')

  @without_autograph
  def read_shards(self, paths: str | Sequence[str] | tf.Tensor) -> tf.data.Dataset:
    """Serialized records of TFRecord files; a damaged file gives the records before the damage."""
    return tf.data.Dataset.from_tensor_slices(tf.reshape(paths, [-1])).flat_map(self._read_shard)

  @without_autograph
  def _read_shard(self, path: tf.Tensor) -> tf.data.Dataset:
    opened = tf.numpy_function(self._open_shard, [path], tf.bool)
    # TFRecordDataset repeats its error forever for a file that cannot be opened; drop it first.
    paths = tf.boolean_mask([path], tf.reshape(opened, [1]))
    stream = tf.data.TFRecordDataset(paths).ignore_errors().map(_with_end_flag)
    stream = stream.concatenate(tf.data.Dataset.from_tensors((b'', True)))

    @without_autograph
    def count_bytes(num_bytes: tf.Tensor, item: tuple[tf.Tensor, tf.Tensor]) -> tuple:
      record, is_end = item
      size = tf.where(is_end, 0, tf.strings.length(record) + _RECORD_OVERHEAD)
      num_bytes += tf.cast(size, tf.int64)
      return num_bytes, (record, is_end, num_bytes)

    @without_autograph
    def is_record(_, is_end: tf.Tensor, num_bytes: tf.Tensor) -> tf.Tensor:
      def close() -> tf.Tensor:
        return tf.numpy_function(self._close_shard, [path, num_bytes], tf.bool)

      return tf.ensure_shape(tf.cond(is_end, close, lambda: True), [])

    scanned = stream.scan(tf.constant(0, tf.int64), count_bytes)
    return scanned.filter(is_record).map(_record)

  def _open_shard(self, path: bytes) -> bool:
    """Whether the shard can be opened; counts it as skipped if not."""
    try:
      with tf.io.gfile.GFile(path.decode(), 'rb') as file:
        file.read(1)
      return True
    except tf.errors.OpError as error:
      message = error.message
      self._counter.add(skipped.SHARDS, path.decode(), lambda: f'cannot be opened ({message})')
      return False

  def _close_shard(self, path: bytes, num_bytes: int) -> bool:
    """False, after counting the shard as skipped if not all of its bytes were read.

    Raises:
      DataError: too many shards in a row hold no record.
    """
    self._empty_shards = 0 if num_bytes else self._empty_shards + 1
    self._counter.check_surplus(self._empty_shards)
    name = path.decode()
    size = tf.io.gfile.stat(name).length if tf.io.gfile.exists(name) else 0
    if num_bytes != size:
      self._counter.add(
        skipped.SHARDS, name, lambda: f'truncated or damaged after {num_bytes} of {size} bytes'
      )
    return False

  def parse(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Results of the elements that can be parsed.

    Iterating over them raises `tf.errors.InvalidArgumentError`, with the message of a DataError, if
    too few elements can be parsed or if data that should repeat ends.
    """
    # `map` with `run_or_fallback` would set up the parsing again for every record.
    tried = dataset.interleave(self._parse_or_fail, num_parallel_calls=tf.data.AUTOTUNE)
    return self._count_failed(tried).filter(_is_parsed).map(_result)

  @without_autograph
  def _parse_or_fail(self, element: Tensors) -> tf.data.Dataset:
    """A dataset of one element: result, status, and the serialized record if parsing failed."""
    parsed = {'status': tf.constant(_PARSED), RECORD_KEY: tf.constant('')}
    failed = {'status': tf.constant(_FAILED), RECORD_KEY: element[RECORD_KEY]}
    return dataset_or_fallback(
      lambda item: {'result': self._parse(item), **parsed},
      element,
      lambda zeros: {**zeros, **failed},
    )

  def _count_failed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The elements and an end marker, after a step that counts failures and checks the end."""
    end = {**zeros_like_spec(dataset.element_spec), 'status': tf.constant(_END)}
    ended = dataset.concatenate(tf.data.Dataset.from_tensors(end))

    @without_autograph
    def update(state: tuple[tf.Tensor, tf.Tensor], element: Tensors) -> tuple:
      num_parsed, surplus = state
      is_parsed = _is_parsed(element)
      num_parsed += tf.cast(is_parsed, tf.int64)
      surplus = tf.maximum(surplus + tf.where(is_parsed, -1, 1), 0)

      def notify() -> tf.Tensor:
        return tf.numpy_function(
          self._handle_status,
          [element['status'], element[RECORD_KEY], num_parsed, surplus],
          tf.bool,
        )

      with tf.control_dependencies([tf.cond(is_parsed, lambda: True, notify)]):
        return (num_parsed, tf.identity(surplus)), element

    return ended.scan((tf.constant(0, tf.int64), tf.constant(0)), update)

  def _handle_status(self, status: int, record: bytes, num_parsed: int, surplus: int) -> bool:
    """True, after counting a failed record or checking the end of the data.

    Args:
      status: `_FAILED` or `_END`.
      record: serialized record that failed.
      num_parsed: number of records parsed so far.
      surplus: running count of failed records minus parsed ones, never below 0.

    Raises:
      DataError: too few records can be parsed, or data that should repeat ended.
    """
    if status == _FAILED:
      self._count_record(record)
      self._counter.check_surplus(surplus)
    elif self._repeats or (num_parsed == 0 and self._counter.count(skipped.RECORDS)):
      raise self._counter.unusable(f'the end of the data after {num_parsed} records')
    return True

  def _count_record(self, record: bytes) -> None:
    def reason() -> str:
      return f'cannot be parsed ({self._reason_unusable(record)})'

    self._counter.add(skipped.RECORDS, skipped.record_name(record), reason)

  def _reason_unusable(self, record: bytes) -> str | None:
    """The message of the error that parsing the record eagerly raises, or None if it succeeds."""
    try:
      self._parse(as_element(tf.constant(record)))
    except (tf.errors.OpError, ValueError) as error:
      return _OP_NAMES.sub('', str(error).splitlines()[0])
    return None


@without_autograph
def as_element(serialized: tf.Tensor) -> Tensors:
  """The element of a serialized record, [] string."""
  return {RECORD_KEY: serialized}


@without_autograph
def _with_end_flag(record: tf.Tensor) -> tuple[tf.Tensor, bool]:
  return record, False


@without_autograph
def _record(record: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
  return record


@without_autograph
def _result(element: dict[str, Any]) -> Any:
  return element['result']


@without_autograph
def _is_parsed(element: Tensors) -> tf.Tensor:
  return tf.equal(element['status'], _PARSED)
