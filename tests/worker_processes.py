"""Two processes on this machine that TensorFlow takes for the workers of one run."""

import json
import socket
import subprocess
import time
from collections.abc import Callable

_TIMEOUT_S = 600


def environments(num_workers: int = 2) -> list[dict[str, str]]:
  """`TF_CONFIG` of each worker, on ports that are free."""
  sockets = [socket.socket() for _ in range(num_workers)]
  for one in sockets:
    one.bind(('127.0.0.1', 0))
  addresses = [f'127.0.0.1:{one.getsockname()[1]}' for one in sockets]
  for one in sockets:
    one.close()
  return [
    {
      'TF_CONFIG': json.dumps(
        {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}}
      )
    }
    for index in range(num_workers)
  ]


def wait(processes: list[subprocess.Popen], until: Callable[[], bool] = lambda: False) -> list[int]:
  """Waits until something is so, or all have ended; kills all if that takes too long.

  Returns:
    Exit statuses, None of a process that has not ended.
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
  """Kills all at once; their exit statuses."""
  for process in processes:
    process.kill()
  return [process.wait() for process in processes]
