"""Counts what an input pipeline leaves out or changes, and names it in the log."""

import hashlib
import threading
from collections.abc import Callable, Mapping

import tensorflow as tf
from absl import logging

from htc_tf.errors import DataError

SHARDS = 'shards_left_out'
RECORDS = 'records_left_out'
INSTANCES = 'instances_left_out'
CLIPPED = 'instances_clipped'
BEYOND_LIMIT = 'instances_beyond_limit'
KINDS = {
  SHARDS: 'shards that could not be read to their end, whose rest is left out',
  RECORDS: 'records that could not be read, left out',
  INSTANCES: 'instances without a usable box or class, left out',
  CLIPPED: 'instances whose box reaches over the border, trained with what lies inside',
  BEYOND_LIMIT: 'instances after the first parser.max_num_instances of their picture, left out',
}
# So much more unusable than usable is no damage here and there, and a search could be endless.
MAX_SURPLUS = 1000


class LeftOut:
  """What one process left out so far; each shard or record counts once, however often it is read.

  The log names the first, second, fourth, eighth ... of a kind, so that it does not fill up.
  """

  def __init__(self):
    self._numbers: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    self._first: str | None = None
    self._lock = threading.Lock()

  def count(self, kind: str) -> int:
    """How many shards, records or instances, by the kind."""
    with self._lock:
      return sum(self._numbers[kind].values())

  def numbers(self) -> dict[str, dict[str, int]]:
    """By kind the name of each shard or record and its number, as JSON can hold it."""
    with self._lock:
      return {kind: dict(numbers) for kind, numbers in self._numbers.items()}

  def absorb(self, numbers: Mapping[str, Mapping[str, int]]) -> None:
    """Adds the `numbers` of another process; what both left out counts once."""
    with self._lock:
      for kind, of_kind in numbers.items():
        self._numbers[kind].update(of_kind)

  def add(self, kind: str, name: str, reason: Callable[[], str], number: int = 1) -> None:
    """Counts what was left out of one shard or record.

    Args:
      kind: one of `KINDS`.
      name: which shard or record.
      reason: gives the reason; asked only where it is logged.
      number: how many of the kind.
    """
    with self._lock:
      numbers = self._numbers[kind]
      if name in numbers:
        return
      numbers[name] = number
      num_names, total = len(numbers), sum(numbers.values())
    if num_names & (num_names - 1) == 0:
      message = f'{name}: {reason()}'
      if kind in (SHARDS, RECORDS):
        self._first = self._first or message
      logging.warning('%s. So far %d %s.', message, total, KINDS[kind])

  def check_surplus(self, number: int) -> None:
    """Takes notice of how many more records, or shards, gave nothing than gave something.

    Raises:
      DataError: more than `MAX_SURPLUS`.
    """
    if number > MAX_SURPLUS:
      raise self.unusable(f'{number} more shards or records that cannot be used than usable ones')

  def unusable(self, got: str) -> DataError:
    """The error of data of which nothing, or too little, can be used; names the first left out."""
    first = f'; the first: {self._first}' if self._first else ''
    return DataError(
      'the data cannot be used',
      expected='TFRecords of htc-create-coco-records, converted for this configuration',
      got=got + first,
      likely_cause='an incomplete copy: copy or convert the records again',
    )


def record_name(serialized: bytes) -> str:
  """How a record that could not be parsed is named: by its image id if that can be read."""
  try:
    feature = tf.train.Example.FromString(serialized).features.feature
    return f'image id {feature["image/source_id"].bytes_list.value[0].decode()}'
  except Exception:  # Whatever damaged bytes lead to.
    return f'record of {len(serialized)} bytes, SHA-1 {hashlib.sha1(serialized).hexdigest()[:12]}'
