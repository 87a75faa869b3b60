"""A process that measures on request, and the other end of the conversation with it.

The standard library alone, since the peer's environment runs the measuring side too. A side tells
what it can measure in one line of JSON, then answers the name of a row with its figures, so that
the runs of two sides can alternate.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_KIB = 1024


class Measure(NamedTuple):
  """One row of a side.

  Attributes:
    run: does the work once.
    count: how many items (images) that is; figures are given per item.
    gmac: multiply-accumulates of convolutions and matrix products per item, in 1e9; None: not
      counted.
  """

  run: Callable[[], Any]
  count: int = 1
  gmac: float | None = None


def serve(build: Callable[[], Mapping[str, Measure]]) -> None:
  """Measures in this process until standard input ends.

  Args:
    build: makes the rows; what it or they print is dropped.
  """
  answers = os.fdopen(os.dup(1), 'w')
  # Libraries print; only answers may be read as such.
  os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
  measures = build()
  _write(answers, {name: measure.gmac for name, measure in measures.items()})
  for line in sys.stdin:
    _write(answers, _timed(measures[line.strip()]))


def _timed(measure: Measure) -> dict[str, float]:
  wall, cpu = time.perf_counter(), _cpu_seconds()
  measure.run()
  return {
    'seconds': (time.perf_counter() - wall) / measure.count,
    'cpu_seconds': (_cpu_seconds() - cpu) / measure.count,
    'peak_bytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
  }


def _cpu_seconds() -> float:
  """Of all threads of this process and of the processes it waited for."""
  children = resource.getrusage(resource.RUSAGE_CHILDREN)
  return time.process_time() + children.ru_utime + children.ru_stime


def _write(stream, answer: dict[str, Any]) -> None:
  stream.write(json.dumps(answer) + '\n')
  stream.flush()


class Side:
  """A measuring process, seen from outside. A context manager; the process ends with it."""

  def __init__(self, command: list[str], environment: Mapping[str, str] | None = None):
    """Starts the process and waits until its rows are built.

    Args:
      command: runs a module that ends in `serve`.
      environment: of the process; None: this one's.

    Raises:
      RuntimeError: the process ended instead.
    """
    self._command = command
    self._process = subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    self.gmac = self._read()

  def measure(self, row: str) -> dict[str, float]:
    """Runs a row once; returns `seconds` and `cpu_seconds` per item and `peak_bytes` so far."""
    self._process.stdin.write(f'{row}\n')
    self._process.stdin.flush()
    return self._read()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._process.stdin.close()
    self._process.stdout.close()
    self._process.wait()

  def _read(self) -> dict[str, Any]:
    line = self._process.stdout.readline()
    if not line:
      self.__exit__()
      raise RuntimeError(f'exit status {self._process.returncode} of: {" ".join(self._command)}')
    return json.loads(line)
