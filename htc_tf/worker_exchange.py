"""Exchange of Python values between the workers of a run; TensorFlow exchanges gradients."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from htc_tf.errors import HTCError

# Largest number of words that each replica sends per round, because all detections of an
# evaluation at once would not fit into the memory of a GPU.
_ROUND_WORDS = 1 << 20
_WORD = np.dtype(np.int32)  # Collectives do not support bytes.


def from_chief(decide: Callable[[], Any]) -> Any:
  """The result of `decide` on the chief; the other workers wait for it and get the same value.

  All workers must call this in the scope of the strategy.

  Args:
    decide: function that is called only on the chief; its result must be representable in JSON.

  Raises:
    Exception: `decide` raised it on the chief, or its result cannot be represented in JSON. The
      other workers raise an HTCError with its type and text, so that none of them waits forever.
  """
  message: dict[str, Any] = {}
  failure: BaseException | None = None
  if tf.distribute.get_strategy().extended.should_checkpoint:
    try:
      message = {'value': decide()}
      if not _is_alone():
        json.dumps(message)
    # Not after Ctrl-C, which may have ended the other workers too.
    except (Exception, SystemExit) as error:
      message, failure = {'error': _describe(error)}, error
  message = gather(message)[0]
  if failure:
    raise failure
  if 'error' in message:
    raise HTCError(f'The chief stopped: {message["error"]}')
  return message['value']


def _describe(error: BaseException) -> str:
  """The message of an error, with its type unless that is an HTCError."""
  return str(error) if isinstance(error, HTCError) else f'{type(error).__name__}: {error}'


def gather(value: Any) -> list[Any]:
  """The values of all workers, the chief's first; in a single process, only `value` itself.

  All workers must call this in the scope of the strategy.

  Args:
    value: value of this worker, representable in JSON.
  """
  if _is_alone():
    return [value]
  strategy = tf.distribute.get_strategy()
  return [json.loads(content) for content in _gather_bytes(strategy, json.dumps(value).encode())]


def _is_alone() -> bool:
  """Whether this process is the only worker."""
  strategy = tf.distribute.get_strategy()
  return strategy.num_replicas_in_sync == len(_local_devices(strategy))


def _gather_bytes(strategy: tf.distribute.Strategy, content: bytes) -> list[bytes]:
  """The contents of all workers, sent in parts by the replicas of each worker, in rounds."""
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
  """Rows [replicas of this worker, n] int32 of all workers: [all replicas, n], in replica order."""

  def numbered(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
    replica = context.replica_id_in_sync_group
    return tf.constant([[replica, *rows[replica % len(rows)]]], tf.int32)

  gathered = strategy.gather(
    strategy.experimental_distribute_values_from_function(numbered), axis=0
  ).numpy()
  return gathered[np.argsort(gathered[:, 0]), 1:]


def _local_devices(strategy: tf.distribute.Strategy) -> Sequence[str]:
  """Names of the devices of this process's replicas."""
  if strategy.num_replicas_in_sync == 1:  # The default strategy does not support `worker_devices`.
    return ('',)
  return strategy.extended.worker_devices
