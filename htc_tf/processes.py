"""Worker processes that end with their parent and give results in the order asked for."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import process
from typing import Any

from htc_tf.errors import DataError

# How many threads the libraries beneath NumPy compute by.
_NUM_THREADS = ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')


def usable_cores() -> int:
  """Returns how many cores this process may run on."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def end_with_parent() -> None:
  """Run once in a worker, ties its life to the parent's.

  A worker whose parent was killed would otherwise wait for work for ever.
  """
  threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
  multiprocessing.parent_process().join()
  os._exit(1)


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
  """Processes that start within compute by one thread: others would be in each other's way.

  They inherit it, since NumPy may be among the first that a process imports, and asks but then.
  """
  before = {name: os.environ.get(name) for name in _NUM_THREADS}
  os.environ.update(dict.fromkeys(_NUM_THREADS, '1'))
  try:
    yield
  finally:
    for name, value in before.items():
      if value is None:
        del os.environ[name]
      else:
        os.environ[name] = value


class OrderedWorkers:
  """Calls functions in worker processes and gives their results in the order of the calls.

  Few calls are under way at a time, so that the arguments of waiting ones do not fill the memory.
  Processes start with the first call and end with `close`, with the object, or with this process.
  Each imports the module that was started anew: one that imports TensorFlow makes them slow and
  large, and calls must not be made outside its `if __name__ == '__main__'`.
  """

  def __init__(self, num_workers: int):
    """Starts nothing yet.

    Args:
      num_workers: processes; with 1 calls are made in this process.
    """
    self.num_workers = num_workers
    self._pool = None
    self._pending = collections.deque()

  def submit(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Calls `function(*arguments)`, both of which must be picklable, in a worker.

    Returns:
      Results that are due: of this call without workers, else of former calls, oldest first.

    Raises:
      Exception: what a call raised; this and every later call raises it, until `close`.
      DataError: a worker was killed or could not start.
    """
    if self.num_workers == 1:
      return [function(*arguments)]
    due = self._take(2 * self.num_workers - 1)
    if self._pool is None:
      self._pool = concurrent.futures.ProcessPoolExecutor(
        self.num_workers, multiprocessing.get_context('spawn'), end_with_parent
      )
    try:
      with one_thread_each():  # A call may start a process.
        self._pending.append(self._pool.submit(function, *arguments))
    except process.BrokenProcessPool as error:
      raise _ended(error) from error
    return due

  def drain(self) -> list[Any]:
    """Waits for all calls and returns the results not yet given; raises as `submit` does."""
    return self._take(0)

  def close(self) -> None:
    """Forgets what is not yet done and ends the processes; calls may be made again afterwards."""
    self._pending.clear()
    if self._pool is not None:
      self._pool.shutdown(wait=True, cancel_futures=True)
      self._pool = None

  def _take(self, num_left: int) -> list[Any]:
    """Results of the oldest calls until `num_left` are under way, in their order."""
    taken = []
    while len(self._pending) > num_left:
      try:
        taken.append(self._pending[0].result())
      except process.BrokenProcessPool as error:
        raise _ended(error) from error
      self._pending.popleft()  # A call that failed stays, and is raised again.
    return taken


def _ended(error: Exception) -> DataError:
  return DataError(
    'A worker process ended',
    expected='one that works until it is told to end',
    got=str(error),
    likely_cause='too little memory, or a script that starts work '
    "outside `if __name__ == '__main__'`, which every worker would start again",
  )
