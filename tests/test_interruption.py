"""Tests of the end of a process by a signal."""

import signal
import subprocess
import sys

import pytest

from htc_tf import interruption
from tests.running_command import RunningCommand

_START = """
import os, pathlib, signal, sys, time
from htc_tf import files, interruption
from htc_tf.cli import command

def execute():
  {body}

with interruption.handled('interrupted; start again'):
  sys.exit(command.guarded(execute, interrupted='interrupted; start again'))
"""
_SWALLOWING = """
  with files.replaced_when_written({path!r}) as temporary:
    open(temporary, 'w').write('half')
    while True:
      try:
        time.sleep(60)
      except KeyboardInterrupt:
        pass
"""
_CONVERTING = """
  with files.new_folder_when_written({path!r}) as folder:
    open(folder + '/a', 'w').write('half')
    try:
      time.sleep(60)
    except KeyboardInterrupt as error:
      raise RuntimeError('a library failed') from error
"""
_IN_C = """
  import hashlib
  with files.new_folder_when_written({path!r}) as folder:
    open(folder + '/a', 'w').write('half')
    hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)  # Many minutes, without a line of Python.
"""


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize('body', [_SWALLOWING, _CONVERTING, _IN_C])
def test_a_process_ends_and_leaves_nothing_half_written(tmp_path, body, number, status):
  """Also if the interruption is swallowed, becomes another error, or waits for C code."""
  output = tmp_path / 'output'
  output.mkdir()
  code = _START.format(body=body.strip().format(path=str(output / 'result')))
  with RunningCommand(tmp_path, '-c', code) as command:
    command.wait_until(lambda: any(output.glob('.result*')))
    assert command.end(number) == status
    assert command.last_line() == 'interrupted; start again'
  assert not list(output.iterdir())


def test_the_message_of_the_context_is_shown():
  def interrupt():
    with interruption.undone_at_end(lambda: None, lambda: '3 of 4 are done'):
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt, match='3 of 4 are done'):
    interrupt()


def test_handlers_are_restored():
  before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
  with interruption.handled('interrupted'):
    assert signal.getsignal(signal.SIGTERM) != before[1]
  assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
  assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_that_is_ignored_stays_ignored():
  code = (
    'import signal\nfrom htc_tf import interruption\n'
    'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
    'with interruption.handled(""):\n  signal.raise_signal(signal.SIGINT)\n  print("went on")\n'
  )
  answer = subprocess.run([sys.executable, '-c', code], capture_output=True, check=True)
  assert answer.stdout == b'went on\n'


def test_actions_are_called_once_and_their_errors_ignored():
  called = []
  with (
    interruption.undone_at_end(lambda: called.append('first')),
    interruption.undone_at_end(lambda: 1 // 0),
  ):
    interruption.tidy_up()
  interruption.tidy_up()
  assert called == ['first']
