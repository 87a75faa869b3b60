"""A pool of worker processes that end with their parent and return results in order."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import process
from typing import Any

from htc_tf import interruption
from htc_tf.errors import DataError

# Environment variables for the number of threads of the libraries that NumPy uses.
_NUM_THREADS = ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')
_POLL_SECONDS = 0.2


class WorkerError(DataError):
  """A worker process that was killed or could not start."""


def usable_cores() -> int:
  """Number of cores that this process may run on."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def exit_with_parent(parent_id: int, is_stopped: Callable[[], object] = lambda: False) -> None:
  """Make this process exit as soon as its parent has ended, even if the parent was killed.

  Without this, a worker whose parent was killed would wait for work forever. Its temporary files
  are removed.

  Args:
    parent_id: process id of the parent, which may already have ended.
    is_stopped: function that returns whether to exit although the parent runs.
  """
  threading.Thread(target=_exit_after, args=(parent_id, is_stopped), daemon=True).start()


def _exit_after(parent_id: int, is_stopped: Callable[[], object]) -> None:
  # A process whose parent has ended gets another parent.
  while os.getppid() == parent_id and not is_stopped():
    time.sleep(_POLL_SECONDS)
  _exit_tidily(1)


def _exit_tidily(status: int) -> None:
  """End this process at once, but without temporary files."""
  interruption.tidy_up()
  os._exit(status)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
  """A context in which new processes do not receive Ctrl-C, which ends them through this process.

  Otherwise each of them would print a traceback. This process receives it after the context.
  """
  if not hasattr(signal, 'pthread_sigmask'):
    yield
    return
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
  """A context in which new processes compute with one thread each, so that they do not compete.

  They inherit the setting through the environment, because NumPy reads it when it is imported and a
  worker may import NumPy before anything else.
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


class WorkerPool:
  """Worker processes that call functions; results are returned in the order of the calls.

  Only a few calls are pending at a time, so that the arguments of waiting calls do not fill the
  memory. Processes start with the first call and end with `close`, with the `with` block, or with
  this process. Each worker imports the main module of the program: if that module imports
  TensorFlow, workers start slowly and are large, and calls must be inside its
  `if __name__ == '__main__'`.

  Args:
    num_workers: number of processes; with 1, functions are called in this process.
    on_progress: function that is called in this process, while it waits for results, with the
      number of steps that were reported with `report_progress` since the last call.
  """

  def __init__(self, num_workers: int, on_progress: Callable[[int], object] | None = None):
    self.num_workers = num_workers
    self._on_progress = on_progress
    self._pool: concurrent.futures.ProcessPoolExecutor | None = None
    self._pending: collections.deque[concurrent.futures.Future] = collections.deque()
    self._counter: Any = None  # steps that all workers have reported, in shared memory
    self._num_seen = 0
    self._stop: Any = None  # whether workers have to end at once, in shared memory

  def __enter__(self) -> 'WorkerPool':
    return self

  def __exit__(self, error: object, *_: object) -> None:
    if error is not None and self._stop is not None:
      self._stop.value = 1  # Running calls may take minutes.
    self.close()

  def submit(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call `function(*arguments)` in a worker; function and arguments must be picklable.

    Returns:
      Results that are due: with one worker, the result of this call; with more, results of earlier
      calls, oldest first.

    Raises:
      Exception: the call whose result is due raised it. Until `close`, this call stays due, and its
        error is raised again.
      WorkerError: a worker was killed or could not start.
    """
    if self.num_workers == 1:
      with _PROGRESS.reported_to(self._on_progress):
        return [function(*arguments)]
    due = self._take(2 * self.num_workers - 1)
    if self._pool is None:
      self._pool = self._start()
    try:
      with one_thread_each(), _without_interrupts():  # A call may start a process.
        self._pending.append(self._pool.submit(function, *arguments))
    except process.BrokenProcessPool as error:
      raise _worker_ended(error) from error
    return due

  def drain(self) -> list[Any]:
    """Wait for all calls and return the remaining results; the errors are those of `submit`."""
    return self._take(0)

  def run_all(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    """Results of a function for each argument, in order; the errors are those of `submit`."""
    results = []
    for argument in arguments:
      results += self.submit(function, argument)
    return results + self.drain()

  def close(self) -> None:
    """Drop unfinished calls and end the processes; a later call starts new processes.

    Calls that run are completed, unless an error ends the `with` block.
    """
    self._pending.clear()
    if self._pool is not None:
      self._pool.shutdown(wait=True, cancel_futures=True)
      self._pool = None

  def _start(self) -> concurrent.futures.ProcessPoolExecutor:
    context = multiprocessing.get_context('spawn')
    with _without_interrupts():  # Shared memory has a process of its own.
      self._counter, self._num_seen = context.Value('q', 0), 0
      self._stop = context.RawValue('b', 0)
    return concurrent.futures.ProcessPoolExecutor(
      self.num_workers, context, _initialize_worker, (self._counter, self._stop)
    )

  def _take(self, max_pending: int) -> list[Any]:
    """Results of the oldest calls, in their order; at most `max_pending` calls stay pending."""
    taken = []
    while len(self._pending) > max_pending:
      self._wait(self._pending[0])
      try:
        taken.append(self._pending[0].result())
      except process.BrokenProcessPool as error:
        raise _worker_ended(error) from error
      self._pending.popleft()  # A failed call stays, so that it raises again.
    return taken

  def _wait(self, future: concurrent.futures.Future) -> None:
    """Wait until a call is done; meanwhile report the progress of all calls."""
    while concurrent.futures.wait([future], _POLL_SECONDS).not_done:
      self._pass_on_progress()
    self._pass_on_progress()

  def _pass_on_progress(self) -> None:
    if self._on_progress is not None and self._counter.value > self._num_seen:
      new = self._counter.value - self._num_seen
      self._num_seen += new
      self._on_progress(new)


class _Progress:
  """Receiver of the steps that are reported in this process."""

  def __init__(self) -> None:
    self.report: Callable[[int], object] | None = None

  @contextlib.contextmanager
  def reported_to(self, receiver: Callable[[int], object] | None) -> Iterator[None]:
    before, self.report = self.report, receiver
    try:
      yield
    finally:
      self.report = before


_PROGRESS = _Progress()


def report_progress(num_steps: int = 1) -> None:
  """Report steps from a function that a `WorkerPool` calls; elsewhere this has no effect."""
  if _PROGRESS.report is not None:
    _PROGRESS.report(num_steps)


def _initialize_worker(counter: Any, stop: Any) -> None:
  """Prepare a new worker: it exits with its parent and counts steps in shared memory."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends it through its parent.
  signal.signal(signal.SIGTERM, lambda number, _: _exit_tidily(128 + number))

  def add(num_steps: int) -> None:
    with counter.get_lock():
      counter.value += num_steps

  _PROGRESS.report = add
  parent = multiprocessing.parent_process()
  if parent is not None and parent.pid is not None:
    exit_with_parent(parent.pid, lambda: stop.value)


def _worker_ended(error: Exception) -> WorkerError:
  return WorkerError(
    'A worker process ended unexpectedly',
    expected='a process that runs until the pool is closed',
    got=str(error),
    likely_cause='too little memory, or a script that starts work '
    "outside `if __name__ == '__main__'`, which every worker would start again",
  )
