"""Tests of the test runner: groups, results, failures and removal of temporary files."""

import os
import tempfile

import pytest

from tests import runner


def test_heavy_files_are_groups_of_their_own_and_every_file_is_in_one():
  files = ['tests/test_a.py', 'tests/ops/test_b.py', 'tests/ops/test_c.py', 'tests/x/y/test_d.py']
  groups = runner.make_groups(files, heavy=('ops/test_c.py', 'ops/test_gone.py', 'x'))
  assert [(group.name, group.files) for group in groups] == [
    ('ops/test_c.py', ['tests/ops/test_c.py']),
    ('x', ['tests/x/y/test_d.py']),
    ('ops', ['tests/ops/test_b.py']),
    ('.', ['tests/test_a.py']),
  ]


def test_every_heavy_group_exists():
  for name in runner.HEAVY:
    assert (runner.ROOT / 'tests' / name).exists(), name


def write(folder, name, content):
  path = folder / name
  path.write_text(content, encoding='utf-8')
  return runner.Group(name, [str(path)])


def test_results_and_peak_memory_are_reported(tmp_path, capsys):
  groups = [
    write(tmp_path, 'test_a.py', 'def test_a(): pass\ndef test_b(): pass\n'),
    write(tmp_path, 'test_c.py', 'def test_c():\n  x = bytearray(10**8)\n  assert x\n'),
  ]
  assert runner.run(groups, [])
  assert [group.counts for group in groups] == [{'passed': 2}, {'passed': 1}]
  output = capsys.readouterr().out
  assert '3 passed in' in output and 'peak memory of all processes together: 0.' in output


@pytest.mark.parametrize(
  'content, message',
  [('def test_a(): assert 1 == 2', '1 failed'), ('import os\nos._exit(3)', 'exit status 3')],
)
def test_a_failure_is_shown(tmp_path, capsys, content, message):
  good = write(tmp_path, 'test_good.py', 'def test_a(): pass')
  assert not runner.run([write(tmp_path, 'test_bad.py', content), good], [])
  output = capsys.readouterr().out
  assert message in output and 'FAILED test_bad.py' in output and '1 passed' in output


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
  (tmp_path / 'temporary').mkdir()
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
  leaving = 'import tempfile\ndef test_a(tmp_path): tempfile.mkstemp(); tempfile.mkdtemp()'
  assert runner.run([write(tmp_path, 'test_a.py', leaving)], [])
  assert not os.listdir(tmp_path / 'temporary')
