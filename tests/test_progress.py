"""Tests of bars on terminals and of lines in logs."""

import io
import sys

import pytest

from htc_tf import progress


class Terminal(io.StringIO):
  def isatty(self):
    return True


@pytest.fixture(autouse=True)
def a_line_per_unit(monkeypatch):
  monkeypatch.setattr(progress, '_LOG_SECONDS', 1e-9)


def test_a_log_gets_whole_lines(capsys):
  assert list(progress.track('abcd', description='reading maps', unit='map')) == list('abcd')
  text = capsys.readouterr().err
  lines = text.splitlines()
  assert '\r' not in text
  assert lines[0].startswith('reading maps: 1 of 4 (25 %), ')
  assert 'map/s' in lines[1] or 's/map' in lines[1]
  assert lines[1].endswith(' left')
  assert lines[-1].startswith('reading maps: 4 of 4 (100 %), ')


def test_work_that_ends_soon_leaves_no_line(monkeypatch, capsys):
  monkeypatch.setattr(progress, '_LOG_SECONDS', 30.0)
  assert list(progress.track(iter('abcd'), description='reading maps', unit='map')) == list('abcd')
  assert capsys.readouterr().err == ''


def test_an_unknown_total_is_not_named(capsys):
  with progress.bar(description='frames of a stream', unit='frame', total=None) as bar:
    bar.update()
    bar.update(2)
  first, second = capsys.readouterr().err.splitlines()[:2]
  assert first.startswith('frames of a stream: 1, ')
  assert second.startswith('frames of a stream: 3, ')
  assert ' of ' not in second.removeprefix('frames of a stream')


def test_units_of_an_earlier_start_count(capsys):
  with progress.bar(description='writing records', unit='image', total=8, done=5) as bar:
    bar.update()
  assert capsys.readouterr().err.startswith('writing records: 6 of 8 (75 %), ')


def test_a_terminal_gets_a_bar(monkeypatch):
  terminal = Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  assert len(list(progress.track(range(3), description='predicting', unit='image'))) == 3
  assert terminal.getvalue().startswith('\rpredicting:   0%|')
  assert '3/3' in terminal.getvalue()


@pytest.mark.parametrize('leave', [True, False])
def test_a_finished_bar_stays_on_a_terminal_or_not(monkeypatch, leave):
  terminal = Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  with progress.bar(description='tiles', unit='tile', total=3, leave=leave) as bar:
    bar.update(3)
  shown = terminal.getvalue().strip('\r\n').split('\r')[-1].strip()
  assert shown.startswith('tiles: 100%') if leave else not shown


def test_a_line_ends_with_what_its_work_adds(capsys):
  with progress.bar(description='inference', unit='run', total=2) as bar:
    bar.set_postfix_str('rpn 0.4 s', refresh=False)
    bar.update()
  assert capsys.readouterr().err.splitlines()[0].endswith(' left, rpn 0.4 s')
