"""Tests of the exchange of values between workers, and in a single process."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from benchmarks import local_workers
from htc_tf import worker_exchange
from htc_tf.errors import DataError
from tests import exchanging_worker, training_runs, worker_processes


def test_two_workers_get_the_same_values():
  processes = [
    subprocess.Popen(
      [sys.executable, '-m', 'tests.exchanging_worker'],
      cwd=training_runs.ROOT,
      text=True,
      env={**os.environ, **environment},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
    )
    for environment in local_workers.environments()
  ]
  try:
    printed = [process.communicate(timeout=300)[0] for process in processes]
  finally:
    statuses = worker_processes.kill(processes)
  assert statuses == [0, 0], printed
  for error, stated in exchanging_worker.ERRORS:
    assert f'{type(error).__name__} {str(error)!a}' in printed[0]
    assert f'HTCError {f"The chief stopped: {stated}"!a}' in printed[1]
  for lines in printed:
    assert 'Object of type set is not JSON serializable' in lines


def test_a_single_process_gets_its_own_value():
  value = object()
  assert worker_exchange.gather(value) == [value]
  assert worker_exchange.from_chief(lambda: value) is value
  with tf.distribute.OneDeviceStrategy('CPU:0').scope():
    assert worker_exchange.gather(value) == [value]


def test_replicas_of_one_process_are_one_worker(two_replicas):
  with two_replicas.scope():
    assert worker_exchange.gather({'a': 1}) == [{'a': 1}]


@pytest.mark.parametrize('error', [DataError('Disk full'), OSError(28, 'Disk full')])
def test_a_single_process_raises_its_own_error(error):
  def fail():
    raise error

  with pytest.raises(type(error), match='Disk full') as raised:
    worker_exchange.from_chief(fail)
  assert raised.value is error
