"""A command of the package that runs as a process of its own and is interrupted by a test."""

import os
import pathlib
import signal
import subprocess
import sys
import time

_TIMEOUT_S = 120
# An idle machine needs a fraction of a second, and the command itself ends after three.
_END_TIMEOUT_S = 30


class RunningCommand:
  """A command in a process group, as in a terminal.

  Args:
    folder: folder for the log.
    arguments: arguments of Python, such as `-m htc_tf.cli.predict ...`.
  """

  def __init__(self, folder, *arguments):
    self._log = pathlib.Path(folder) / 'stderr.log'
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    with open(self._log, 'wb') as log:
      self._process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=log,
        env=environment,
        start_new_session=True,
      )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self._process.poll() is None:
      os.killpg(self._process.pid, signal.SIGKILL)
      self._process.wait()

  def wait_until(self, condition):
    """Wait until `condition()` is true while the command runs."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
      assert self._process.poll() is None and time.monotonic() < deadline, self.log()
      time.sleep(0.02)

  def wait_until_tensorflow_is_imported(self):
    """Wait until the process has loaded a library of TensorFlow; the import goes on then."""
    maps = pathlib.Path(f'/proc/{self._process.pid}/maps')
    self.wait_until(lambda: 'libtensorflow' in maps.read_text(encoding='utf-8'))

  def end(self, number=signal.SIGINT):
    """Send a signal to the process group and return the exit status."""
    os.killpg(self._process.pid, number)
    status = self._process.wait(_END_TIMEOUT_S)
    assert not self.others(), self.others()
    return status

  def others(self):
    """Command lines of other processes of the group, after a second for them to end."""
    deadline = time.monotonic() + 5
    while (found := self._others()) and time.monotonic() < deadline:
      time.sleep(0.1)
    return found

  def _others(self):
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*'):
      try:
        fields = (path / 'stat').read_text().rsplit(')', 1)[1].split()
        if int(fields[2]) == self._process.pid and fields[0] != 'Z':
          found.append((path / 'cmdline').read_bytes())
      except (FileNotFoundError, ProcessLookupError):
        continue
    return found

  def log(self):
    """What the command wrote to standard error."""
    return self._log.read_text(encoding='utf-8', errors='replace')

  def last_line(self):
    """The last line of the log, after a check that there is no traceback and one such line."""
    log = self.log()
    assert 'Traceback' not in log and log.count('interrupted') == 1, log
    return log.splitlines()[-1]
