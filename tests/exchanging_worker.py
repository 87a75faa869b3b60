"""A worker of tests/test_worker_exchange.py: `python -m tests.exchanging_worker`."""

import tensorflow as tf

from htc_tf import worker_exchange
from htc_tf.errors import DataError, HTCError

MESSAGE = 'Disk full'


def _fail():
  raise DataError(MESSAGE)


def main() -> None:
  """Raise AssertionError unless both workers get the same values."""
  strategy = tf.distribute.MultiWorkerMirroredStrategy()
  index = strategy.cluster_resolver.task_id
  calls = []
  with strategy.scope():
    assert worker_exchange.gather({'worker': index}) == [{'worker': 0}, {'worker': 1}]
    # The lengths differ, and neither is a multiple of the size of a round.
    worker_exchange._ROUND_WORDS = 7
    texts = ['\u00e9' * 5, ''.join(map(str, range(100)))]
    assert worker_exchange.gather(texts[index]) == texts
    assert worker_exchange.from_chief(lambda: calls.append(index) or [index, None]) == [0, None]
    assert calls == ([0] if index == 0 else [])
    try:
      worker_exchange.from_chief(_fail)
    except HTCError as error:
      print(type(error).__name__, error)
    assert worker_exchange.gather(index) == [0, 1]


if __name__ == '__main__':
  main()
