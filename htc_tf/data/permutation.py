"""Reading of records in epochs that are whole permutations, as in the published trainings.

The order of an epoch is a permutation of all records that depends on a seed and the number of the
epoch alone. Therefore several workers agree on it without a message, and a training that continues
finds its place in it.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.record_index import RecordIndex
from htc_tf.data.skipped import SkipCounter
from htc_tf.ops.without_autograph import without_autograph


class Share(NamedTuple):
  """The part of each epoch that one worker reads.

  Attributes:
    worker: number of the worker, from 0.
    num_workers: number of workers that share an epoch.
  """

  worker: int = 0
  num_workers: int = 1


_WHOLE = Share()


@without_autograph
def permuted_numbers(
  num_records: int, seed: int, share: Share = _WHOLE, num_read: int = 0
) -> tf.data.Dataset:
  """Numbers of records, epoch after epoch without end.

  A worker reads every `num_workers`-th record of the permutation. If the workers cannot share an
  epoch equally, it goes on with its own first records, as in PyTorch's DistributedSampler, so that
  all workers read equally many.

  Args:
    num_records: number of records, at least 1.
    seed: seed of all permutations.
    share: part of each epoch that is read.
    num_read: number of records that this worker has read already; they are left out.

  Returns:
    A dataset of [] int64 numbers from 0 to num_records - 1.
  """
  size = -(-num_records // share.num_workers)
  places = np.arange(share.worker, size * share.num_workers, share.num_workers) % num_records

  @without_autograph
  def own_numbers(epoch: tf.Tensor) -> tf.data.Dataset:
    numbers = tf.range(num_records, dtype=tf.int64)
    order = tf.random.experimental.stateless_shuffle(numbers, tf.stack([seed, epoch]))
    return tf.data.Dataset.from_tensor_slices(tf.gather(order, places))

  epochs = tf.data.Dataset.counter(num_read // size)
  return epochs.flat_map(own_numbers).skip(num_read % size)


class PermutedReading:
  """Reading of indexed records in any order, which skips and counts damaged ones.

  Args:
    index: places of the records.
    counter: counter of the records that cannot be read.
  """

  def __init__(self, index: RecordIndex, counter: SkipCounter):
    self._index = index
    self._counter = counter
    self._failed: set[int] = set()

  @without_autograph
  def read(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
    """Serialized records, [] string, in the order of their numbers.

    Iterating over them raises `tf.errors.InvalidArgumentError`, with the message of a DataError, if
    no record can be read.

    Args:
      numbers: dataset of [] int64 numbers of records.
    """
    # Interleaved datasets of one element keep their order.
    tried = numbers.interleave(
      self._read_or_empty, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return tried.filter(self._is_read).map(_record)

  @without_autograph
  def _read_or_empty(self, number: tf.Tensor) -> tf.data.Dataset:
    """A dataset of one element: the number and the record, which is empty if reading failed."""
    path = tf.gather(tf.constant(self._index.paths), tf.gather(self._index.files, number))
    # Without a buffer, only the bytes of the record are read.
    variant = tf.raw_ops.TFRecordDatasetV2(
      filenames=path[None],
      compression_type='',
      buffer_size=tf.constant(0, tf.int64),
      byte_offsets=tf.gather(self._index.offsets, number)[None],
    )
    rest = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    # A missing file repeats its error forever, which `ignore_errors` on the records would wait for.
    once = tf.data.Dataset.from_tensors(0).map(lambda _: rest.take(1).get_single_element())
    empty = tf.data.Dataset.from_tensors('')
    return once.ignore_errors().concatenate(empty).take(1).map(lambda record: (number, record))

  @without_autograph
  def _is_read(self, number: tf.Tensor, record: tf.Tensor) -> tf.Tensor:
    def count() -> tf.Tensor:
      return tf.numpy_function(self._count_failed, [number], tf.bool)

    is_read = tf.cond(tf.strings.length(record) > 0, lambda: True, count)
    return tf.ensure_shape(is_read, [])

  def _count_failed(self, number: int) -> bool:
    """False, after counting a record that cannot be read.

    Raises:
      DataError: no record can be read.
    """
    index = self._index
    path, offset = index.paths[index.files[number]], index.offsets[number]
    self._counter.add(skipped.RECORDS, f'{path}, byte {offset}', lambda: 'cannot be read')
    self._failed.add(int(number))
    if len(self._failed) == index.num_records:
      raise self._counter.unusable(f'none of {index.num_records} records')
    return False


@without_autograph
def _record(_, record: tf.Tensor) -> tf.Tensor:
  return record
