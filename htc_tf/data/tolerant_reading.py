"""Reading of records that leaves out and counts what cannot be read, instead of ending the run.

`ignore_errors` around a whole pipeline would leave out as well, but count and name nothing. Python
is called for what fails and at the end of a shard, never for a sound record.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from htc_tf.data import left_out as left_out_lib
from htc_tf.data.attempt import attempt_to_element, zeros_like_spec
from htc_tf.data.left_out import LeftOut

Tensors = dict[str, tf.Tensor]
RECORD_KEY = 'serialized'
# Around the bytes of each record in a TFRecord file: its length and two checksums.
_FRAMING = 16
_FAILED, _PARSED, _END = range(3)
# What TensorFlow adds to a message.
_OPS = re.compile(r'\{\{.*?\}\} ?| ?\[Op:.*')


class TolerantReading:
  """The steps of one input pipeline that leave out and count.

  `read_shards`, `as_element` and `parse` follow each other; in between elements may be shuffled and
  get further entries. What is left out is counted in this process.

  Args:
    parse: from an element, a dictionary with the serialized record in `RECORD_KEY`, to nested
      tensors; may raise when run. Random ops in it must be stateless.
    left_out: the count.
    repeats: whether the pipeline repeats its data, so that its end is an error.
  """

  def __init__(self, parse: Callable[[Tensors], Any], left_out: LeftOut, repeats: bool):
    self._parse = parse
    self._left_out = left_out
    self._repeats = repeats
    self._empty_shards = 0

  def check_usable(self, paths: Sequence[str]) -> None:
    """Reads until one record can be used; call it before a run depends on the data.

    Raises:
      DataError: none can.
    """
    for number, record in enumerate(self.read_shards(paths).as_numpy_iterator(), 1):
      if self._why_unusable(record) is None:
        return
      self._add(record)
      self._left_out.check_surplus(number)
    raise self._left_out.unusable(f'none in {len(paths)} files')

  def read_shards(self, paths: str | Sequence[str] | tf.Tensor) -> tf.data.Dataset:
    """Serialized records of one TFRecord file or several; a damaged one gives those before."""
    return tf.data.Dataset.from_tensor_slices(tf.reshape(paths, [-1])).flat_map(self._read_shard)

  def _read_shard(self, path: tf.Tensor) -> tf.data.Dataset:
    opened = tf.numpy_function(self._open_shard, [path], tf.bool)
    # Of a file that cannot be opened, the reader would raise the same error for ever.
    paths = tf.boolean_mask([path], tf.reshape(opened, [1]))
    stream = tf.data.TFRecordDataset(paths).ignore_errors().map(lambda record: (record, False))
    stream = stream.concatenate(tf.data.Dataset.from_tensors((b'', True)))

    def count_bytes(num_bytes: tf.Tensor, item):
      record, is_end = item
      size = tf.where(is_end, 0, tf.strings.length(record) + _FRAMING)
      num_bytes += tf.cast(size, tf.int64)
      return num_bytes, (record, is_end, num_bytes)

    def keep(_, is_end: tf.Tensor, num_bytes: tf.Tensor) -> tf.Tensor:
      def close():
        return tf.numpy_function(self._close_shard, [path, num_bytes], tf.bool)

      return tf.ensure_shape(tf.cond(is_end, close, lambda: True), [])

    scanned = stream.scan(tf.constant(0, tf.int64), count_bytes)
    return scanned.filter(keep).map(lambda record, *_: record)

  def _open_shard(self, path: bytes) -> bool:
    try:
      with tf.io.gfile.GFile(path.decode(), 'rb') as file:
        file.read(1)
      return True
    except tf.errors.OpError as error:
      message = error.message
      self._left_out.add(
        left_out_lib.SHARDS, path.decode(), lambda: f'cannot be opened ({message})'
      )
      return False

  def _close_shard(self, path: bytes, num_bytes: int) -> bool:
    """False, after a look at whether all of the file was read."""
    self._empty_shards = 0 if num_bytes else self._empty_shards + 1
    self._left_out.check_surplus(self._empty_shards)
    name = path.decode()
    size = tf.io.gfile.stat(name).length if tf.io.gfile.exists(name) else 0
    if num_bytes != size:
      self._left_out.add(
        left_out_lib.SHARDS, name, lambda: f'truncated or damaged after {num_bytes} of {size} bytes'
      )
    return False

  def parse(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The elements that can be parsed, parsed; raises, as tf.data does, where nothing comes."""
    # Not a map to single elements, which would prepare the parsing anew for every record.
    tried = dataset.interleave(self._attempt, num_parallel_calls=tf.data.AUTOTUNE)
    return self._report_failed(tried).filter(_is_parsed).map(lambda element: element['result'])

  def _attempt(self, element: Tensors) -> tf.data.Dataset:
    """One element: the result and its status, and the record where it failed."""
    parsed = {'status': tf.constant(_PARSED), RECORD_KEY: tf.constant('')}
    failed = {'status': tf.constant(_FAILED), RECORD_KEY: element[RECORD_KEY]}
    return attempt_to_element(
      lambda item: {'result': self._parse(item), **parsed},
      element,
      lambda blank: {**blank, **failed},
    )

  def _report_failed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The elements as they are; those that failed, and an end without any, are noted."""
    blank = {**zeros_like_spec(dataset.element_spec), 'status': tf.constant(_END)}
    ended = dataset.concatenate(tf.data.Dataset.from_tensors(blank))

    def follow(state, element: Tensors):
      num_parsed, surplus = state
      is_parsed = _is_parsed(element)
      num_parsed += tf.cast(is_parsed, tf.int64)
      surplus = tf.maximum(surplus + tf.where(is_parsed, -1, 1), 0)

      def note():
        return tf.numpy_function(
          self._note, [element['status'], element[RECORD_KEY], num_parsed, surplus], tf.bool
        )

      with tf.control_dependencies([tf.cond(is_parsed, lambda: True, note)]):
        return (num_parsed, tf.identity(surplus)), element

    return ended.scan((tf.constant(0, tf.int64), tf.constant(0)), follow)

  def _note(self, status: int, record: bytes, num_parsed: int, surplus: int) -> bool:
    """Counts an element that failed, or looks at an end."""
    if status == _FAILED:
      self._add(record)
      self._left_out.check_surplus(surplus)
    elif self._repeats or (num_parsed == 0 and self._left_out.count(left_out_lib.RECORDS)):
      raise self._left_out.unusable(f'the end of the data after {num_parsed} records')
    return True

  def _add(self, record: bytes) -> None:
    def reason():
      return f'cannot be parsed ({self._why_unusable(record)})'

    self._left_out.add(left_out_lib.RECORDS, left_out_lib.record_name(record), reason)

  def _why_unusable(self, record: bytes) -> str | None:
    """Parses a record here and now; the message if that fails."""
    try:
      self._parse(as_element(tf.constant(record)))
    except (tf.errors.OpError, ValueError) as error:
      return _OPS.sub('', str(error).splitlines()[0])
    return None


def as_element(serialized: tf.Tensor) -> Tensors:
  """The element of a serialized record, [] string."""
  return {RECORD_KEY: serialized}


def _is_parsed(element: Tensors) -> tf.Tensor:
  return tf.equal(element['status'], _PARSED)
