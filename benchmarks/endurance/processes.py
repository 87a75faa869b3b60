"""The processes of a run: they are started, watched, killed and started again."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks import measuring
from htc_tf.errors import TrainingError

_POLL_SECONDS = 2.0
_END_SECONDS = 600.0  # In which the other workers notice that one was killed.
_LOG_BYTES = 2000


class Sample(NamedTuple):
  """The memory of a process at one time.

  Attributes:
    start: number of the start that the process belongs to.
    process: index of the process.
    step: last step in the table of results.
    megabytes: resident memory.
  """

  start: int
  process: int
  step: int
  megabytes: float


class Start:
  """The processes of one start of a run.

  Args:
    command: command line of each process.
    environments: environment of each process.
    logs: file of each process that its output is appended to.
    number: number of the start.
  """

  def __init__(
    self,
    command: Sequence[str],
    environments: Sequence[dict[str, str]],
    logs: Sequence[str],
    number: int,
  ):
    self._logs, self._number = logs, number
    with contextlib.ExitStack() as stack:
      self._processes = [
        subprocess.Popen(
          command,
          env=environment,
          stdout=stack.enter_context(open(log, 'a', encoding='utf-8')),
          stderr=subprocess.STDOUT,
        )
        for environment, log in zip(environments, logs)
      ]

  def watch(self, step: Callable[[], int], until: int | None) -> list[Sample]:
    """Wait until the run has reached a step, or to its end.

    Args:
      step: function that returns the last step of the run.
      until: the step; None for the end of all processes.

    Returns:
      The memory of each process, every two seconds.

    Raises:
      TrainingError: a process failed, or the run ended before the step.
    """
    samples: list[Sample] = []
    try:
      while any(process.poll() is None for process in self._processes):
        reached = step()
        if until is not None and reached >= until:
          return samples
        for index, process in enumerate(self._processes):
          # A process that has just ended has no memory.
          with contextlib.suppress(OSError, StopIteration):
            size = measuring.resident_bytes('VmRSS', process.pid) / 1e6
            samples.append(Sample(self._number, index, reached, size))
        time.sleep(_POLL_SECONDS)
    except BaseException:
      self._end()
      raise
    if until is not None or any(process.returncode for process in self._processes):
      raise TrainingError(
        'A training ended by itself',
        expected='its end without an error' if until is None else f'step {until} and a kill',
        got=f'status {[process.returncode for process in self._processes]}, step {step()}, and the '
        f'end of its log:\n{self._log_end()}',
      )
    return samples

  def kill(self, indices: Sequence[int]) -> list[int]:
    """Kill some processes (SIGKILL), and wait until all have ended.

    Returns:
      The exit status of each process.

    Raises:
      TrainingError: another process went on without the killed ones.
    """
    for index in indices:
      self._processes[index].kill()
    try:
      return [process.wait(_END_SECONDS) for process in self._processes]
    except subprocess.TimeoutExpired as error:
      raise TrainingError(
        'A worker does not end although another one was killed',
        expected=f'its end within {_END_SECONDS:.0f} seconds',
        got=f'a process that runs, and the end of its log:\n{self._log_end()}',
      ) from error
    finally:
      self._end()

  def _end(self) -> None:
    for process in self._processes:
      process.kill()
      process.wait()

  def _log_end(self) -> str:
    texts = []
    for log in self._logs:
      with open(log, 'rb') as file:
        file.seek(max(0, os.path.getsize(log) - _LOG_BYTES))
        texts.append(file.read().decode(errors='replace'))
    return '\n'.join(texts)
