"""Tests of the readers with mutated files, and of the fuzzer that mutates them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.convert import fuzzer

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize('num_files', [1500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_mutated_files_are_read_or_refused_within_bounds(num_files):
  """The slow case reads as many files as `make fuzz`."""
  finished = subprocess.run(
    [sys.executable, '-m', 'tests.convert.fuzzer', f'--files={num_files}', '--seed=2'],
    capture_output=True,
    text=True,
    check=False,
    cwd=_ROOT,
  )
  assert finished.returncode == 0, finished.stdout + finished.stderr
  report = json.loads(finished.stdout)
  assert report['files'] == report['read'] + report['refused'] == num_files
  assert report['read'] > num_files // 50 and report['refused'] > num_files // 2
  assert 0 < report['largest_spare_bytes'] <= fuzzer.SPARE_BYTES


@pytest.mark.parametrize(
  'fault, shown',
  [
    ('raise KeyError(3)', 'KeyError'),
    ('open(str(path) + "2", "w").close()', 'file.bin2'),
    ('__import__("os").system("true")', 'os.system'),
    ('bytes(2**23)', 'more than twice'),
    ('__import__("wave")', 'import'),
  ],
)
def test_faults_of_a_reader_are_noticed(fault, shown):
  """The reader is replaced by a reader with a fault."""
  program = (
    f'import sys\nfrom tests.convert import fuzzer\ncalls = []\ndef read(path):\n'
    f'  calls.append(path)\n  if len(calls) > 1:\n    {fault}\n'
    f'fuzzer.read = read\nsys.argv[1:] = ["--files=1"]\nsys.exit(fuzzer.main())'
  )
  finished = subprocess.run(
    [sys.executable, '-c', program],
    capture_output=True,
    text=True,
    check=False,
    cwd=_ROOT,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
  )
  assert finished.returncode == 1 and shown in finished.stdout, finished.stderr
