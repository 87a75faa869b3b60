"""What the processes of a run on several machines tell each other, besides gradients."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from htc_tf.errors import HTCError

# Of one round of gathering, on each replica: what a whole evaluation found does not fit a GPU.
_ROUND_WORDS = 1 << 20
_WORD = np.dtype(np.int32)  # Collectives take no bytes.


def from_chief(decide: Callable[[], Any]) -> Any:
  """What the chief decides; the others wait for it and get the same.

  Must be called by all workers, in the scope of the strategy.

  Args:
    decide: called on the chief alone; what it returns must be representable in JSON.

  Raises:
    HTCError: what `decide` raised; of the same text on all workers, so that none waits for ever.
  """
  said, failure = {}, None
  if tf.distribute.get_strategy().extended.should_checkpoint:
    try:
      said = {'value': decide()}
    except HTCError as error:
      said, failure = {'error': str(error)}, error
  said = gather(said)[0]
  if failure:
    raise failure
  if 'error' in said:
    raise HTCError(f'The chief stopped: {said["error"]}')
  return said['value']


def gather(value: Any) -> list[Any]:
  """One value of every worker, on all of them, the chief's first; of one process its own, as it is.

  Must be called by all workers, in the scope of the strategy.

  Args:
    value: representable in JSON.
  """
  strategy = tf.distribute.get_strategy()
  if strategy.num_replicas_in_sync == len(_local_devices(strategy)):
    return [value]
  return [json.loads(content) for content in _gather_bytes(strategy, json.dumps(value).encode())]


def _gather_bytes(strategy: tf.distribute.Strategy, content: bytes) -> list[bytes]:
  """Cuts the contents over the replicas of each worker, and over rounds."""
  num_replicas, num_local = strategy.num_replicas_in_sync, len(_local_devices(strategy))
  lengths = _gather_rows(strategy, np.full([num_local, 1], len(content), _WORD))
  words = -(-int(lengths.max()) // _WORD.itemsize)
  row_words = min(-(-words // num_local), _ROUND_WORDS)
  num_rounds = -(-words // (num_local * row_words))
  padded = content.ljust(num_rounds * num_local * row_words * _WORD.itemsize, b'\0')
  rounds = np.frombuffer(padded, _WORD).reshape(num_rounds, num_local, row_words)
  gathered = np.stack([_gather_rows(strategy, rows) for rows in rounds])
  # [round, replica, word] to [worker, round, replica of the worker, word].
  by_worker = gathered.reshape(num_rounds, num_replicas // num_local, num_local, row_words)
  by_worker = by_worker.transpose(1, 0, 2, 3)
  return [worker.tobytes()[:length] for worker, length in zip(by_worker, lengths[::num_local, 0])]


def _gather_rows(strategy: tf.distribute.Strategy, rows: np.ndarray) -> np.ndarray:
  """[replicas of this worker, n] int32 to [all replicas, n], in the order of their numbers."""

  def numbered(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
    replica = context.replica_id_in_sync_group
    return tf.constant([[replica, *rows[replica % len(rows)]]], tf.int32)

  gathered = strategy.gather(
    strategy.experimental_distribute_values_from_function(numbered), axis=0
  ).numpy()
  return gathered[np.argsort(gathered[:, 0]), 1:]


def _local_devices(strategy: tf.distribute.Strategy):
  """The devices of this process' replicas."""
  if strategy.num_replicas_in_sync == 1:  # The default strategy does not say.
    return ('',)
  return strategy.extended.worker_devices
