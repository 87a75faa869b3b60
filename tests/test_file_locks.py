"""Tests of the locks between processes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from htc_tf import file_locks
from htc_tf.errors import ConfigError

TEXTS = ('works here', 'another folder')
_HOLD = """
import sys, time
from htc_tf import file_locks
with file_locks.exclusive(sys.argv[1], 'works here', 'another folder'):
  print('locked', flush=True)
  time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(name='path')
def _path(tmp_path):
  return str(tmp_path / '.lock')


@pytest.fixture(name='start')
def _start(path):
  """Starts a process that has the lock for some seconds."""
  processes = []

  def start(seconds=600):
    command = [sys.executable, '-c', _HOLD, path, str(seconds)]
    processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    assert processes[-1].stdout.readline() == b'locked\n'
    return processes[-1]

  yield start
  for process in processes:
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_with_the_first_one(path, start):
  process = start()
  message = f'Another process works here.*Got: process {process.pid} on .*or take another folder'
  for _ in range(2):  # The first refusal does not open the way for the second.
    with (
      pytest.raises(ConfigError, match=message),
      file_locks.exclusive(path, *TEXTS),
    ):
      pytest.fail('two processes have the lock')


def test_a_killed_process_leaves_no_lock(path, start):
  process = start()
  os.kill(process.pid, signal.SIGKILL)
  process.wait()
  assert os.path.exists(path)
  with file_locks.exclusive(path, *TEXTS):
    pass
  assert not os.path.exists(path)


def test_a_process_that_ends_is_waited_for(path, start, caplog):
  caplog.set_level('INFO')
  process = start(1)
  begin = time.monotonic()
  with file_locks.exclusive(path, *TEXTS, 60):
    assert time.monotonic() - begin < 50
    with open(path) as file:
      assert str(os.getpid()) in file.read()
  assert f'Waiting up to 60 s for process {process.pid}' in caplog.text


def test_waiting_ends(path, start):
  start()
  with pytest.raises(ConfigError), file_locks.exclusive(path, *TEXTS, 0.6):
    pytest.fail('two processes have the lock')


def test_an_error_frees_the_lock(path):
  for _ in range(2):
    with pytest.raises(KeyError), file_locks.exclusive(path, *TEXTS):
      raise KeyError
  assert not os.path.exists(path)


@pytest.mark.parametrize('has_another', [False, True])
def test_a_file_that_was_removed_between_opening_and_locking_is_no_lock(
  path, has_another, monkeypatch
):
  opened = []

  def open_and_remove(path):
    opened.append(os.open(path, os.O_RDWR | os.O_CREAT))
    if len(opened) == 1:
      os.remove(path)
      if has_another:
        with open(path, 'x'):
          pass
    return opened[-1]

  monkeypatch.setattr(file_locks, '_open', open_and_remove)
  with file_locks.exclusive(path, *TEXTS):
    assert len(opened) == 2  # Another process could have the lock of a new file of that name.
    assert os.path.exists(path)


def test_without_locks_of_the_system_nothing_is_reserved(path, monkeypatch):
  def refuse(*_):
    raise OSError('no locks')

  monkeypatch.setattr(file_locks.fcntl, 'flock', refuse)
  with file_locks.exclusive(path, *TEXTS):
    pass
  monkeypatch.setattr(file_locks, 'fcntl', None)
  with file_locks.exclusive(path, *TEXTS):
    pass
