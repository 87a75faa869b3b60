"""Tests of the command of the endurance test."""

import json

import pytest

from benchmarks import recorded_runs
from benchmarks.endurance import __main__ as command
from benchmarks.endurance import plan, runs
from benchmarks.scenes import dataset
from htc_tf.errors import ConfigError, TrainingError

RESULT = {
  'steps': 400,
  'seconds': 60.0,
  'kills': [],
  'box_AP': 0.5,
  'mask_AP': 0.4,
  'memory': [[0, 0, step, 900.0 + step / 1000] for step in (100, 200, 300, 400)],
  'slopes': [1.0],
  'losses': [[100, 2.0]],
  'faults': [],
}


def test_finished_runs_are_kept_and_failures_and_faults_counted(tmp_path, monkeypatch, capsys):
  (tmp_path / 'alone_0.json').write_text(json.dumps(RESULT))
  (tmp_path / 'alone_1').mkdir()  # Left by an interrupted run, which starts again.
  trained = []

  def train(run, *_):
    assert not (tmp_path / 'alone_1').exists()
    trained.append(run.name)
    if run.name == 'alone_2':
      raise TrainingError('it broke')
    return {**RESULT, 'faults': ['a file is missing']}

  monkeypatch.setattr(runs, 'train', train)
  assert command.train_all(['alone_0', 'alone_1', 'alone_2'], 400, 'records', str(tmp_path)) == 2
  assert trained == ['alone_1', 'alone_2']
  shown = capsys.readouterr()
  assert 'alone_2: it broke' in shown.err
  kept, trained_line = shown.out.splitlines()
  assert kept.endswith('0 faults, 1.0 min (kept)') and '1 faults' in trained_line


def test_a_run_of_another_length_is_refused(tmp_path):
  (tmp_path / 'alone_0.json').write_text(json.dumps(RESULT))
  with pytest.raises(ConfigError, match=r'other settings.*"steps": 3000.*"steps": 400'):
    runs.read(str(tmp_path / 'alone_0.json'), 3000)
  assert runs.read(str(tmp_path / 'alone_1.json'), 3000) is None


def test_the_report_is_written_into_the_page(tmp_path, capsys):
  (tmp_path / 'runs').mkdir()
  (tmp_path / 'runs' / 'alone_1.json').write_text(json.dumps(RESULT))
  page = tmp_path / 'docs' / 'page.md'
  (page.parent / 'pictures').mkdir(parents=True)
  page.write_text(
    '<!-- table of the endurance test -->\n<!-- end of table of the endurance test -->'
  )
  command.write_report(str(tmp_path), 400, str(page))
  line = '| one device, seed 1 | 400 | - | 50.0 | 40.0 | 1.0 | 1.0 |'
  assert line in capsys.readouterr().out and line in page.read_text()
  assert (page.parent / 'pictures' / 'endurance.png').exists()


def test_recorded_runs_are_in_the_table_and_receive_those_of_the_folder(tmp_path, capsys):
  (tmp_path / 'runs').mkdir()
  (tmp_path / 'runs' / 'alone_1.json').write_text(json.dumps(RESULT))
  record = str(tmp_path / 'figures.json')
  older = {name: {**RESULT, 'mask_AP': 0.3} for name in ('alone_0', 'alone_1')}
  recorded_runs.write(record, {'steps': 400}, older, list(RESULT))
  for _ in range(2):
    command.write_report(str(tmp_path), 400, record=record)
    text = capsys.readouterr().out
    assert '| one device, seed 0 | 400 | - | 50.0 | 30.0 | 1.0 | 1.0 |' in text
    assert '| one device, seed 1 | 400 | - | 50.0 | 40.0 | 1.0 | 1.0 |' in text
  kept = recorded_runs.read(record, {'steps': 400})
  assert list(kept) == ['alone_0', 'alone_1'] and 'memory' not in kept['alone_1']


@pytest.mark.parametrize('flag', ['--runs=alone_0,alone', '--epochs=3', '--epochs=many'])
def test_unusable_flags_are_refused(flag, tmp_path, capsys):
  with pytest.raises(SystemExit):
    command.main([f'--output={tmp_path}', flag])
  assert flag.split('=')[0] in capsys.readouterr().err


@pytest.mark.slow
def test_killed_runs_lose_nothing(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(dataset, 'SPLITS', {'train': 16, 'val': 2, 'test': 1})
  names = [run.name for run in plan.DISTURBED]
  flags = [f'--output={tmp_path}', '--epochs=4', f'--runs={",".join(names)}']
  assert command.main(flags) == 0
  for name in names:
    result = json.loads((tmp_path / 'runs' / f'{name}.json').read_text())
    assert len(result['kills']) == plan.NUM_KILLS and result['faults'] == []
    assert all(-9 in kill['statuses'] for kill in result['kills'])
  assert '(kept)' not in capsys.readouterr().out
