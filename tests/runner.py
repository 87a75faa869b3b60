"""The tests in groups, two at a time, each group in a fresh process: `python -m tests.runner`.

TensorFlow keeps every program that it has compiled until its process ends, so one process for all
tests would grow to ten gigabytes. When a group ends, its memory and temporary files are freed. The
last lines are the numbers of tests, the time, and the peak memory of all processes together.

Arguments are passed on to pytest; paths select test files.
"""

import argparse
import collections
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence

import psutil

ROOT = pathlib.Path(__file__).parents[1]
# Groups that need more than two gigabytes, heaviest first. A file is a group of its own; a folder
# stands for its other files. All other folders follow. The summary shows what each group needs.
HEAVY = (
  'training/test_compiled_replicas.py',
  'serving/test_views.py',
  'serving',
  'modeling',
  'tasks',
  'training/test_driver.py',
  'training',
  'training/test_compiled_mirrored.py',
  'modeling/test_precision.py',
  'cli',
)
_SAMPLE_SECONDS = 2.0  # Reading the memory of a large process takes a tenth of a second.
_COUNT = re.compile(r'(\d+) (passed|failed|error|skipped|xfailed|deselected)')
_NO_TESTS = 5  # pytest's exit status


@dataclasses.dataclass
class Group:
  """Test files that one process runs.

  Attributes:
    name: name of the group.
    files: paths of the files.
    status: exit status of pytest; None until it has ended.
    seconds: duration.
    peak: peak memory of the process and its children, in bytes.
    output: output of pytest.
  """

  name: str
  files: list[str]
  status: int | None = None
  seconds: float = 0.0
  peak: int = 0
  output: str = ''

  @property
  def counts(self) -> dict[str, int]:
    """Numbers of tests by result, from the last line of pytest."""
    lines = [line for line in self.output.splitlines() if _COUNT.search(line)]
    return {what: int(number) for number, what in _COUNT.findall(lines[-1])} if lines else {}

  @property
  def failed(self) -> bool:
    """Whether a test failed or the process did not end normally."""
    return self.status not in (0, _NO_TESTS)


class Memory:
  """A sampler of the memory of child processes: their proportional set size (pss)."""

  def __init__(self) -> None:
    self.peak = 0
    self._groups: dict[int, Group] = {}
    self._lock = threading.Lock()
    threading.Thread(target=self._sample, daemon=True).start()

  def watch(self, process_id: int, group: Group) -> None:
    """Measure a process and its children for a group."""
    with self._lock:
      self._groups[process_id] = group

  def forget(self, process_id: int) -> None:
    """Stop measuring a process."""
    with self._lock:
      del self._groups[process_id]

  def _sample(self) -> None:
    while True:
      with self._lock:
        groups = dict(self._groups)
      total = 0
      for process_id, group in groups.items():
        size = _tree_size(process_id)
        group.peak = max(group.peak, size)
        total += size
      self.peak = max(self.peak, total)
      time.sleep(_SAMPLE_SECONDS)


def _tree_size(process_id: int) -> int:
  """Bytes of a process and its children; 0 if it has ended."""
  try:
    process = psutil.Process(process_id)
    return sum(map(_size, [process, *process.children(recursive=True)]))
  except psutil.NoSuchProcess:
    return 0


def _size(process: psutil.Process) -> int:
  try:
    info = process.memory_full_info()
  except (psutil.NoSuchProcess, psutil.AccessDenied):
    return 0
  return getattr(info, 'pss', info.uss)  # pss exists on Linux only.


def make_groups(files: Iterable[str], heavy: Sequence[str] = HEAVY) -> list[Group]:
  """Groups of test files, heavy ones first.

  Args:
    files: paths of test files below the root, with forward slashes.
    heavy: files and folders below `tests`, in the order of their groups.
  """
  members: dict[str, list[str]] = {name: [] for name in heavy}
  for file in sorted(files):
    name = file.removeprefix('tests/')
    if name not in heavy:
      name = name.split('/')[0] if '/' in name else '.'
    members.setdefault(name, []).append(file)
  return [Group(name, group) for name, group in members.items() if group]


def run_group(group: Group, memory: Memory, arguments: Sequence[str]) -> None:
  """Run pytest on a group in a temporary folder that is removed afterwards."""
  start = time.monotonic()
  with tempfile.TemporaryDirectory(prefix='tests-') as folder:
    process = subprocess.Popen(
      [sys.executable, '-m', 'pytest', '-q', *arguments, *group.files],
      cwd=ROOT,
      env={**os.environ, 'TMPDIR': folder},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      errors='replace',
    )
    memory.watch(process.pid, group)
    group.output, _ = process.communicate()
    memory.forget(process.pid)
  group.status = process.returncode
  group.seconds = time.monotonic() - start


def run(groups: Sequence[Group], arguments: Sequence[str]) -> bool:
  """Run all groups; print a line for each and the output of those that fail.

  Returns:
    Whether all groups succeeded.
  """
  memory, start = Memory(), time.monotonic()
  waiting, lock = collections.deque(groups), threading.Lock()

  def work(take) -> None:
    while True:
      with lock:
        if not waiting:
          return
        group = take()
      run_group(group, memory, arguments)
      with lock:
        _report(group, sum(item.status is not None for item in groups), len(groups))

  # One lane begins with the heavy groups and the other with the light ones, so that two heavy
  # groups rarely run at the same time.
  lanes = [threading.Thread(target=work, args=(take,)) for take in (waiting.popleft, waiting.pop)]
  for lane in lanes:
    lane.start()
  for lane in lanes:
    lane.join()
  _summarize(groups, time.monotonic() - start, memory.peak)
  return not any(group.failed for group in groups)


def _report(group: Group, number: int, total: int) -> None:
  counts = ', '.join(f'{count} {what}' for what, count in group.counts.items())
  result = counts or f'exit status {group.status}'
  print(
    f'[{number:2d}/{total}] {group.name:40} {group.seconds:6.0f} s  {group.peak / 1e9:4.1f} GB  '
    f'{result}',
    flush=True,
  )
  if group.failed:
    print(group.output, flush=True)


def _summarize(groups: Sequence[Group], seconds: float, peak: int) -> None:
  counts: collections.Counter[str] = collections.Counter()
  for group in groups:
    counts.update(group.counts)
  for group in groups:
    if group.failed:
      print(f'FAILED {group.name} (exit status {group.status})')
  results = ', '.join(f'{count} {what}' for what, count in counts.items())
  print(f'{results} in {seconds:.0f} s; peak memory of all processes together: {peak / 1e9:.2f} GB')


def main(argv: Sequence[str] | None = None) -> int:
  """Run the command and return 0 if all tests passed, else 1."""
  parser = argparse.ArgumentParser(description='Run the tests in groups, each in a fresh process.')
  parser.add_argument('-m', default='not slow', dest='marker', help='default: %(default)s')
  options, arguments = parser.parse_known_args(argv)
  paths = [argument for argument in arguments if (ROOT / argument).exists()]
  others = [argument for argument in arguments if argument not in paths]
  files = {
    str(file.relative_to(ROOT).as_posix())
    for path in paths or ['tests']
    for file in ([ROOT / path] if path.endswith('.py') else (ROOT / path).rglob('test_*.py'))
  }
  return 0 if run(make_groups(files), ['-m', options.marker, *others]) else 1


if __name__ == '__main__':
  sys.exit(main())
