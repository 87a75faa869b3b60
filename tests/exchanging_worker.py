"""A worker of tests/test_worker_exchange.py: `python -m tests.exchanging_worker`."""

import tensorflow as tf

from htc_tf import worker_exchange
from htc_tf.errors import DataError

MESSAGE = 'Disk full'
# Errors of every kind on the chief, and what the other workers show after `The chief stopped: `.
ERRORS = [
  (DataError(MESSAGE), f'{MESSAGE}.'),
  (
    OSError(28, 'No space left on device', 'model/run\udcff.json'),
    "OSError: [Errno 28] No space left on device: 'model/run\\udcff.json'.",
  ),
  (PermissionError('no permission'), 'PermissionError: no permission.'),
  (KeyError('id'), "KeyError: 'id'."),
  (SystemExit('wrong flags'), 'SystemExit: wrong flags.'),
  (ValueError(), 'ValueError: .'),
]


def _raising(error):
  def decide():
    raise error

  return decide


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
    decisions = [_raising(error) for error, _ in ERRORS]
    for decide in (*decisions, lambda: {1, 2}):  # A set cannot be represented in JSON.
      try:
        worker_exchange.from_chief(decide)
      except BaseException as error:
        print(type(error).__name__, ascii(str(error)))
      else:
        raise AssertionError('No error reached this worker')
    assert worker_exchange.gather(index) == [0, 1]


if __name__ == '__main__':
  main()
