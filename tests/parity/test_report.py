"""Tests of the forms of the report and of the command that writes them."""

import json

import pytest

from parity import __main__ as command
from parity import report
from parity.check import at_most
from parity.measurement import NotRun
from parity.report import Section

SECTIONS = [
  Section('maps', [at_most('C2', 1e-6, 5e-5), at_most('C3', 1e-3, 5e-5)]),
  Section(
    'masks',
    [at_most('pixels', float('nan'), 1e-3)],
    [NotRun('last', 1e-3, 'a.npz'), NotRun('all checks of this section', None, 'b.npz')],
  ),
]


def test_json_file_and_page_hold_all_rows(tmp_path):
  report.write(SECTIONS, str(tmp_path / 'parity.json'), str(tmp_path / 'parity.md'))
  rows = json.loads((tmp_path / 'parity.json').read_text())
  assert rows == [
    {'name': 'maps: C2', 'measured': 1e-6, 'bar': 5e-5, 'ok': True},
    {'name': 'maps: C3', 'measured': 1e-3, 'bar': 5e-5, 'ok': False},
    {'name': 'masks: pixels', 'measured': None, 'bar': 1e-3, 'ok': False},
    {'name': 'masks: last', 'measured': None, 'bar': 1e-3, 'ok': None},
    {'name': 'masks: all checks of this section', 'measured': None, 'bar': None, 'ok': None},
  ]
  page = (tmp_path / 'parity.md').read_text()
  assert '| maps | 2 | 1 | 0 | 2000% |' in page
  assert '| last | not run: a.npz is missing | 1e-03 | |' in page
  assert 'mask_ensemble' in page and '2.x' in page


def test_the_page_is_written_only_on_request(tmp_path):
  report.write(SECTIONS, str(tmp_path / 'parity.json'))
  assert [path.name for path in tmp_path.iterdir()] == ['parity.json']


def test_the_table_marks_failed_and_missing_rows():
  lines = report.table(SECTIONS).splitlines()
  assert lines[-1] == '3 checks, 2 failed, 2 not run'
  assert sum('FAIL' in line for line in lines) == 2
  assert any('not run' in line and 'last (a.npz is missing)' in line for line in lines)


@pytest.mark.parametrize('sections,status', [(SECTIONS, 1), (SECTIONS[:0], 0)])
def test_the_exit_status_is_1_if_a_check_fails(monkeypatch, tmp_path, capsys, sections, status):
  monkeypatch.setattr(command, '_sections', lambda folder: sections)
  assert command.main([f'--json={tmp_path / "parity.json"}']) == status
  assert 'checks' in capsys.readouterr().out


def test_an_empty_folder_lists_all_checks_as_not_run(tmp_path, capsys):
  assert command.main([f'--pack={tmp_path}', f'--json={tmp_path / "parity.json"}']) == 0
  rows = json.loads((tmp_path / 'parity.json').read_text())
  assert len(rows) > 100 and all(row['ok'] is None for row in rows)
  assert '0 checks, 0 failed' in capsys.readouterr().out
