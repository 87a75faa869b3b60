"""Tests of the pool of worker processes: order, limit, errors, progress and end."""

import os
import subprocess
import sys
import time

import pytest

from htc_tf import processes
from htc_tf.errors import DataError


def _alive(pid):
  """Whether a process runs; a zombie, which has ended but was not reaped, does not."""
  try:
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
      return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
  except FileNotFoundError:
    return False


def _work(seconds, value):
  time.sleep(seconds)
  if isinstance(value, Exception):
    raise value
  return value, os.getpid()


@pytest.fixture(name='workers')
def _workers():
  workers = processes.WorkerPool(2)
  yield workers
  workers.close()


def test_results_come_in_the_order_of_the_calls_and_few_calls_are_pending(workers):
  results, given = [], []
  for index in range(12):
    results += workers.submit(_work, 0.1 if index % 3 == 0 else 0, index)
    given.append(len(results))
  assert given == [0, 0, 0, 0, *range(1, 9)]  # Never more than four pending.
  results += workers.drain()
  assert [value for value, _ in results] == list(range(12))
  assert os.getpid() not in {pid for _, pid in results}
  assert workers.drain() == []


def test_one_worker_is_this_process():
  workers = processes.WorkerPool(1)
  assert workers.submit(_work, 0, 'now') == [('now', os.getpid())]
  assert workers.drain() == []
  with pytest.raises(DataError, match='broken'):
    workers.submit(_work, 0, DataError('broken'))


def test_an_error_is_raised_until_close(workers):
  workers.submit(_work, 0, DataError('broken', got='3'))
  workers.submit(_work, 0, 1)
  for _ in range(2):
    with pytest.raises(DataError, match=r'broken. Got: 3.'):
      workers.drain()
  workers.close()
  assert workers.submit(_work, 0, 2) == []
  assert [value for value, _ in workers.drain()] == [2]


def test_a_worker_that_is_killed_is_an_error(workers):
  workers.submit(os._exit, 1)
  with pytest.raises(DataError, match=r'worker process ended.*memory'):
    workers.drain()


def test_closing_ends_the_processes(workers):
  for index in range(4):
    workers.submit(_work, 0.05, index)
  pids = {pid for _, pid in workers.drain()}
  assert all(_alive(pid) for pid in pids)
  workers.close()
  assert not any(_alive(pid) for pid in pids)


def test_workers_end_with_a_killed_parent(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(
    'import os, time\n'
    'from htc_tf import processes\n'
    'if __name__ == "__main__":\n'
    '  workers = processes.WorkerPool(2)\n'
    '  workers.submit(os.getpid)\n'
    '  print(*workers.drain(), flush=True)\n'
    '  time.sleep(60)\n',
    encoding='utf-8',
  )
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
  with subprocess.Popen(
    [sys.executable, str(script)], stdout=subprocess.PIPE, env=environment
  ) as process:
    worker = int(process.stdout.readline())
    process.kill()
  deadline = time.monotonic() + 20
  while _alive(worker) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not _alive(worker)


def test_a_child_exits_with_a_killed_parent():
  child = (
    'import sys, time; from htc_tf import processes; '
    'processes.exit_with_parent(int(sys.argv[1])); time.sleep(60)'
  )
  parent = (
    'import os, subprocess, sys, time\n'
    f'child = subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())])\n'
    'print(child.pid, flush=True)\n'
    'time.sleep(60)\n'
  )
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
  with subprocess.Popen(
    [sys.executable, '-c', parent], stdout=subprocess.PIPE, env=environment
  ) as process:
    pid = int(process.stdout.readline())
    time.sleep(1)
    assert _alive(pid)
    process.kill()
  deadline = time.monotonic() + 20
  while _alive(pid) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not _alive(pid)


def test_workers_compute_with_one_thread_each(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(
    'import os\n'
    'AT_START = os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("OMP_NUM_THREADS")\n'
    'from htc_tf import processes\n'
    'def at_start():\n'
    '  return AT_START\n'
    'if __name__ == "__main__":\n'
    '  workers = processes.WorkerPool(2)\n'
    '  results = [result for _ in range(3) for result in workers.submit(at_start)]\n'
    '  print(results + workers.drain())\n'
    '  print(os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("OMP_NUM_THREADS"))\n',
    encoding='utf-8',
  )
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path), 'OMP_NUM_THREADS': '7'}
  environment.pop('OPENBLAS_NUM_THREADS', None)
  printed = subprocess.run(
    [sys.executable, str(script)], check=True, env=environment, text=True, stdout=subprocess.PIPE
  ).stdout.splitlines()
  assert printed == [str([('1', '1')] * 3), 'None 7']


def _report(num_steps):
  for _ in range(num_steps):
    processes.report_progress()
  return num_steps


@pytest.mark.parametrize('num_workers', [1, 2])
def test_progress_of_all_calls_is_reported(num_workers):
  reported = []
  with processes.WorkerPool(num_workers, reported.append) as pool:
    assert pool.run_all(_report, [3, 0, 4, 5]) == [3, 0, 4, 5]
    assert sum(reported) == 12
    pool.run_all(_report, [2])
  assert sum(reported) == 14
  processes.report_progress()
  assert sum(reported) == 14


def test_at_least_one_core_is_usable():
  assert 1 <= processes.usable_cores() <= os.cpu_count()
