"""Tests of the processes of a run, with small scripts in the place of trainings."""

import signal
import sys

import pytest

from benchmarks.endurance import processes
from benchmarks.endurance.processes import Start
from htc_tf.errors import TrainingError

# The second process ends with an error when the first one, which holds a lock, has ended.
_SCRIPT = """
import fcntl, os, sys, time
lock = open(os.environ['LOCK'], 'w')
if os.environ['INDEX'] == '1':
  while not os.path.exists(os.environ['LOCK'] + '.held'):
    time.sleep(0.02)
fcntl.flock(lock, fcntl.LOCK_EX)
if os.environ['INDEX'] == '0':
  open(os.environ['LOCK'] + '.held', 'w').close()
  time.sleep(60)
print('the other one ended')
sys.exit(3)
"""


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
  monkeypatch.setattr(processes, '_POLL_SECONDS', 0.02)


def _start(tmp_path, script=_SCRIPT, number=2):
  environments = [{'LOCK': str(tmp_path / 'lock'), 'INDEX': str(index)} for index in range(number)]
  logs = [str(tmp_path / f'{index}.log') for index in range(number)]
  return Start([sys.executable, '-c', script], environments, logs, 5)


def test_a_killed_process_and_the_one_that_ends_after_it(tmp_path):
  steps = iter([0, 10])
  start = _start(tmp_path)
  held = tmp_path / 'lock.held'
  samples = start.watch(lambda: 20 if held.exists() else next(steps, 10), 20)
  assert {(sample.start, sample.process) for sample in samples} == {(5, 0), (5, 1)}
  assert {sample.step for sample in samples} <= {0, 10}
  assert all(0 < sample.megabytes < 1000 for sample in samples)
  assert start.kill([0]) == [-signal.SIGKILL, 3]
  assert (tmp_path / '1.log').read_text() == 'the other one ended\n'


def test_a_process_that_goes_on_alone_is_an_error(tmp_path, monkeypatch):
  monkeypatch.setattr(processes, '_END_SECONDS', 0.2)
  start = _start(tmp_path, 'import time; print("here", flush=True); time.sleep(60)')
  start.watch(lambda: int('here' in (tmp_path / '0.log').read_text()), 1)
  with pytest.raises(TrainingError, match='does not end although another one was killed'):
    start.kill([1])
  assert [process.returncode for process in start._processes] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize('until', [None, 5])
def test_a_process_that_fails_is_an_error_with_the_end_of_its_log(tmp_path, until):
  start = _start(tmp_path, 'raise SystemExit("no data")', number=1)
  with pytest.raises(TrainingError, match=r'status \[1\], step 4, .*\nno data'):
    start.watch(lambda: 4, until)


def test_a_run_that_ends_before_its_kill_is_an_error(tmp_path):
  start = _start(tmp_path, '', number=1)
  with pytest.raises(TrainingError, match='Expected: step 9 and a kill'):
    start.watch(lambda: 4, 9)


def test_a_run_that_ends_well_has_its_samples(tmp_path):
  start = _start(tmp_path, 'import time; time.sleep(0.3)', number=1)
  assert start.watch(lambda: 7, None)
