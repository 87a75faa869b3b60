"""Processes on this machine that are the workers of one run for TensorFlow."""

import subprocess
import time
from collections.abc import Callable

_TIMEOUT_S = 600


def wait(
  processes: list[subprocess.Popen], until: Callable[[], bool] = lambda: False
) -> list[int | None]:
  """Wait until `until()` is true or all processes have ended; kill all if this takes too long.

  Returns:
    The exit status of each process; None if it has not ended.
  """
  deadline = time.monotonic() + _TIMEOUT_S
  try:
    while any(process.poll() is None for process in processes) and not until():
      assert time.monotonic() < deadline
      time.sleep(0.05)
  except BaseException:
    kill(processes)
    raise
  return [process.returncode for process in processes]


def kill(processes: list[subprocess.Popen]) -> list[int]:
  """Kill all processes and return their exit statuses."""
  for process in processes:
    process.kill()
  return [process.wait() for process in processes]
