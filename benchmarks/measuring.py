"""A process that measures on request, and the object that controls it.

The process first writes one line of JSON with the rows that it can measure. Then, for every name of
a row that it reads, it runs the row once and writes the figures, so that the runs of two sides can
alternate. This module needs only the standard library, because it also runs in the environment of
the peer.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TextIO

_KIB = 1024


class Measure(NamedTuple):
  """One row of a side.

  Attributes:
    run: function that does the work once.
    num_items: number of items, such as images, that one run processes; figures are per item.
    gmac: multiply-accumulates of convolutions and matrix products per item, in 1e9; None if they
      are not counted.
  """

  run: Callable[[], Any]
  num_items: int = 1
  gmac: float | None = None


def serve(build: Callable[[], Mapping[str, Measure]]) -> None:
  """Measure in this process until standard input ends.

  Args:
    build: function that returns the rows. Everything that `build` or a row prints is discarded.
  """
  answers = os.fdopen(os.dup(1), 'w')
  # Libraries print to standard output, where only answers may appear.
  os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
  measures = build()
  _write(answers, {name: measure.gmac for name, measure in measures.items()})
  for line in sys.stdin:
    _write(answers, _timed(measures[line.strip()]))


def _timed(measure: Measure) -> dict[str, float]:
  wall, cpu = time.perf_counter(), _cpu_seconds()
  measure.run()
  return {
    'seconds': (time.perf_counter() - wall) / measure.num_items,
    'cpu_seconds': (_cpu_seconds() - cpu) / measure.num_items,
    'peak_bytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
  }


def resident_bytes(field: str, process: int | str = 'self') -> int:
  """Resident memory of a process: 'VmRSS' for the present, 'VmHWM' for the peak.

  Args:
    field: name of the field.
    process: id of the process.

  Raises:
    OSError: the process has ended.
  """
  with open(f'/proc/{process}/status', encoding='ascii') as status:
    line = next(line for line in status if line.startswith(f'{field}:'))
  return int(line.split()[1]) * _KIB


def _cpu_seconds() -> float:
  """CPU time of all threads of this process, and of its processes that have ended."""
  children = resource.getrusage(resource.RUSAGE_CHILDREN)
  return time.process_time() + children.ru_utime + children.ru_stime


def _write(stream: TextIO, answer: dict[str, Any]) -> None:
  stream.write(json.dumps(answer) + '\n')
  stream.flush()


class Side:
  """A measuring process, started by the constructor, which waits until the rows are built.

  The process ends when the `with` block ends.

  Args:
    command: command of a process that calls `serve`.
    environment: environment variables of the process; None for those of this process.

  Attributes:
    gmac: multiply-accumulates in 1e9 by row, in the order of the rows; None if not counted.

  Raises:
    RuntimeError: the process ended early.
  """

  def __init__(self, command: list[str], environment: Mapping[str, str] | None = None):
    self._command = command
    self._process = subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert self._process.stdin is not None and self._process.stdout is not None
    self._requests, self._answers = self._process.stdin, self._process.stdout
    self.gmac = self._read()

  def measure(self, row: str) -> dict[str, float]:
    """Run a row once and return `seconds` and `cpu_seconds` per item, and `peak_bytes` so far.

    Args:
      row: name of the row.
    """
    self._requests.write(f'{row}\n')
    self._requests.flush()
    return self._read()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._requests.close()
    self._answers.close()
    self._process.wait()

  def _read(self) -> dict[str, Any]:
    line = self._answers.readline()
    if not line:
      self.__exit__()
      raise RuntimeError(
        f'The measuring process ended with exit status {self._process.returncode}: '
        f'{" ".join(self._command)}'
      )
    return json.loads(line)
