"""Counts of the shards, records and instances that an input pipeline skips, with log messages."""

import hashlib
import threading
from collections.abc import Callable, Mapping

import tensorflow as tf
from absl import logging

from htc_tf.errors import DataError

SHARDS = 'skipped_shards'
RECORDS = 'skipped_records'
INSTANCES = 'skipped_instances'
CLIPPED = 'clipped_instances'
OVER_LIMIT = 'instances_over_limit'
LEFT_OUT_IMAGES = 'left_out_images'
LEFT_OUT_INSTANCES = 'left_out_instances'
KINDS = {
  SHARDS: 'shards could not be read to the end; the rest of each is skipped',
  RECORDS: 'records could not be read and are skipped',
  INSTANCES: 'instances without a usable box or class are skipped',
  CLIPPED: 'instances with a box that crosses the border of the image are clipped',
  OVER_LIMIT: 'instances beyond parser.max_num_instances of their image are skipped',
  LEFT_OUT_IMAGES: 'images are left out by task.train_data.published_selection',
  LEFT_OUT_INSTANCES: 'annotations are left out by task.train_data.published_selection',
}
# If so many more records are bad than good, the data set is wrong rather than damaged: stop.
MAX_SURPLUS = 1000


class SkipCounter:
  """Counts of the shards, records and instances that one process skips or clips.

  A shard or record counts once even if it is read again. Only the first, second, fourth, eighth ...
  shard or record of a kind is logged, so that the log does not fill up.
  """

  def __init__(self) -> None:
    self._counts: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    self._first: str | None = None
    self._lock = threading.Lock()

  def count(self, kind: str) -> int:
    """Number of shards, records or instances of a kind."""
    with self._lock:
      return sum(self._counts[kind].values())

  def counts(self) -> dict[str, dict[str, int]]:
    """Counts by kind and by name of the shard or record, in a form that JSON can hold."""
    with self._lock:
      return {kind: dict(counts) for kind, counts in self._counts.items()}

  def merge(self, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Add the `counts` of another process; shards and records that both skipped count once."""
    with self._lock:
      for kind, by_name in counts.items():
        self._counts[kind].update(by_name)

  def add(self, kind: str, name: str, reason: Callable[[], str], number: int = 1) -> None:
    """Count one shard or record, or the instances of one record.

    Args:
      kind: one of `KINDS`.
      name: name of the shard or record.
      reason: function that returns the reason; it is called only if the reason is logged.
      number: number of instances; 1 for a shard or record.
    """
    with self._lock:
      counts = self._counts[kind]
      if name in counts:
        return
      counts[name] = number
      num_names, total = len(counts), sum(counts.values())
    if num_names & (num_names - 1) == 0:
      message = f'{name}: {reason()}'
      if kind in (SHARDS, RECORDS):
        self._first = self._first or message
      logging.warning('%s. So far %d %s.', message, total, KINDS[kind])

  def check_surplus(self, number: int) -> None:
    """Raise DataError if many more records or shards were skipped than used.

    Args:
      number: number of skipped records or shards, minus the number of used ones.

    Raises:
      DataError: `number` exceeds `MAX_SURPLUS`.
    """
    if number > MAX_SURPLUS:
      raise self.unusable(f'{number} more unusable than usable shards or records')

  def unusable(self, got: str) -> DataError:
    """The exception for unusable data; it names the first skipped shard or record.

    Args:
      got: description of the data.
    """
    first = f'; the first: {self._first}' if self._first else ''
    return DataError(
      'The data cannot be used',
      expected='TFRecords of htc-create-coco-records, converted for this configuration',
      got=got + first,
      likely_cause='an incomplete copy: copy or convert the records again',
    )


def record_name(serialized: bytes) -> str:
  """Name of a record that could not be parsed: its image id, or its size and hash."""
  try:
    feature = tf.train.Example.FromString(serialized).features.feature
    return f'image id {feature["image/source_id"].bytes_list.value[0].decode()}'
  except Exception:  # Damaged bytes can raise any kind of error.
    return f'record of {len(serialized)} bytes, SHA-1 {hashlib.sha1(serialized).hexdigest()[:12]}'
