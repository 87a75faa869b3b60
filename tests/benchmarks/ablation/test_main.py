"""Tests of the command of the ablation."""

import json
import pathlib

import pytest

from benchmarks import recorded_runs
from benchmarks.ablation import __main__ as command
from benchmarks.ablation import class_groups, rows, runs, table
from htc_tf.errors import TrainingError

BUDGET = runs.Budget('nano', 192, 4, 12, 400)


def run_of(folder, name='flow', seed=1):
  return runs.Run(rows.ROWS[name], seed, str(folder))


def finish(run):
  """Write the file of a finished run."""
  figures = {'segm_AP': 0.4, 'bbox_AP': 0.5}
  result = {'settings': runs.settings(run, BUDGET), 'seconds': 120.0, 'figures': figures}
  with open(run.path, 'w') as file:
    json.dump(result, file)
  return result


def test_finished_runs_are_kept_and_failed_ones_counted(tmp_path, monkeypatch, capsys):
  planned = [run_of(tmp_path, name, 0) for name in ('mask_rcnn', 'cascade', 'flow')]
  finish(planned[0])
  trained = []

  def train(run, *_):
    trained.append(run.name)
    if run.row.name == 'cascade':
      raise TrainingError('it broke')
    return finish(run)

  monkeypatch.setattr(runs, 'train', train)
  monkeypatch.setattr(command.scene_records, 'prepare', lambda folder: f'{folder}/records')
  assert command.train_all(planned, BUDGET, str(tmp_path)) == 1
  assert trained == ['cascade_0', 'flow_0']
  shown = capsys.readouterr()
  lines = shown.out.splitlines()
  assert len(lines) == 2 and 'cascade_0: it broke' in shown.err
  assert lines[0].startswith('mask_rcnn_0') and lines[0].endswith('(kept); 2 left, about 0.1 h')
  assert lines[1].endswith('mask AP  40.0, box AP  50.0,   2.0 min')


def test_all_finished_runs_are_in_the_table_and_the_page(tmp_path, capsys):
  (tmp_path / 'runs').mkdir()
  for seed in rows.SEEDS:
    finish(run_of(tmp_path / 'runs', 'flow', seed))
  page = tmp_path / 'docs' / 'page.md'
  (page.parent / 'pictures').mkdir(parents=True)
  page.write_text(
    '# Title\n<!-- table of the ablation -->\nold\n<!-- end of table of the ablation -->\n'
  )
  command.write_tables(str(tmp_path), BUDGET, str(page))
  line = '| + mask information flow | 40.0 (0.0) | - | - | 50.0 (0.0) | - | - | 3 | 2.0 |'
  assert line in capsys.readouterr().out
  assert line in (tmp_path / 'ablation.md').read_text()
  text = page.read_text()
  assert line in text and 'old' not in text and '(pictures/ablation.png)' in text
  assert (page.parent / 'pictures' / 'ablation.png').exists()
  assert (tmp_path / 'ablation.png').exists()


def test_the_table_has_both_groups_of_classes(tmp_path, monkeypatch, capsys):
  (tmp_path / 'runs').mkdir()
  finish(run_of(tmp_path / 'runs', 'flow', 1))

  def add(result, run, budget, annotations):
    assert (run.name, budget) == ('flow_1', BUDGET)
    assert annotations == str(tmp_path / 'scenes' / 'val.json')
    result['figures'].update(context_segm_AP=0.6, other_segm_AP=0.2)

  monkeypatch.setattr(class_groups, 'add', add)
  command.write_tables(str(tmp_path), BUDGET)
  assert '| 40.0 | - | - | 50.0 | 60.0 | 20.0 | 1 | 2.0 |' in capsys.readouterr().out


def test_runs_of_a_file_of_figures_are_not_trained_again(tmp_path, monkeypatch, capsys):
  planned = [run_of(tmp_path, name, 0) for name in ('mask_rcnn', 'cascade')]
  figures = {'segm_AP': 0.3, 'bbox_AP': 0.2}
  known = {
    'mask_rcnn_0': {'seconds': 60.0, 'figures': figures},
    'cascade_0': {'figures': figures},
  }

  def refuse(*_):
    pytest.fail('a finished run needs neither records nor training')

  monkeypatch.setattr(runs, 'train', refuse)
  monkeypatch.setattr(command.scene_records, 'prepare', refuse)
  assert command.train_all(planned, BUDGET, str(tmp_path), known) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == 'mask_rcnn_0      mask AP  30.0, box AP  20.0,   1.0 min (kept)'
  assert lines[1] == 'cascade_0        mask AP  30.0, box AP  20.0 (kept)'


def test_a_file_of_figures_is_in_the_table_and_receives_the_runs_of_the_folder(tmp_path, capsys):
  (tmp_path / 'runs').mkdir()
  record = str(tmp_path / 'figures.json')
  # The older run has no time and not all figures.
  older = {'flow_0': {'figures': {'segm_AP': 0.2, 'bbox_AP': 0.3}}}
  recorded_runs.write(record, BUDGET._asdict(), older, ['figures'])
  finish(run_of(tmp_path / 'runs', 'flow', 1))
  for _ in range(2):
    command.write_tables(str(tmp_path), BUDGET, record=record)
    line = '| + mask information flow | 30.0 (20.0) | - | - | 40.0 (20.0) | - | - | 2 | 2.0 |'
    assert line in capsys.readouterr().out
  assert recorded_runs.read(record, BUDGET._asdict()) == {
    'flow_0': {'figures': {'segm_AP': 0.2, 'bbox_AP': 0.3}},
    'flow_1': {'seconds': 120.0, 'figures': {'segm_AP': 0.4, 'bbox_AP': 0.5}},
  }


def test_the_page_shows_the_recorded_runs():
  """Nobody changes the page or the file alone."""
  root = pathlib.Path(__file__).parents[3]
  budget = runs.Budget('nano', 192, 4, 15, 400)
  path = root / 'benchmarks' / 'ablation' / 'figures.json'
  known = recorded_runs.read(str(path), budget._asdict())
  results = {
    name: [known[f'{name}_{seed}'] for seed in rows.SEEDS if f'{name}_{seed}' in known]
    for name in rows.ROWS
  }
  assert table.markdown(results) in (root / 'docs' / 'ablation.md').read_text()


@pytest.mark.parametrize('flag', ['--rows=mask_rcnn,htc', '--seeds=0,7'])
def test_unknown_rows_and_seeds_are_refused(flag, tmp_path, capsys):
  with pytest.raises(SystemExit):
    command.main([f'--output={tmp_path}', flag])
  assert flag.split(',')[1] in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_trains_and_writes_a_table(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(command.dataset, 'SPLITS', {'train': 4, 'val': 2, 'test': 1})
  flags = [f'--output={tmp_path}', '--rows=mask_rcnn', '--seeds=0', '--epochs=2']
  for _ in range(2):
    assert command.main(flags) == 0
  assert '| Mask R-CNN |' in (tmp_path / 'ablation.md').read_text()
  assert '(kept)' in capsys.readouterr().out
