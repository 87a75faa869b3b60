"""Tests of the runs of the ablation: what is kept, continued and refused."""

import json

import pytest

from benchmarks import kept_runs
from benchmarks.ablation import rows, runs
from htc_tf.errors import ConfigError, TrainingError

BUDGET = runs.Budget('nano', 192, 4, 12, 400)
TABLE = """step,epoch,total_loss,segm_AP,segm_AP50,segm_APs,bbox_AP
300,3,1.5,0.2,0.4,-1,0.25
600,6,1.2,,,,
1200,12,1.0,0.4,0.6,-1,0.5
"""


@pytest.fixture
def trainings(monkeypatch):
  """The commands of trainings, which write a table of results and nothing else."""
  commands = []

  def call(words, log):
    commands.append(words)
    folder = next(word for word in words if word.startswith('--model_dir=')).split('=')[1]
    with open(f'{folder}/results.csv', 'w') as file:
      file.write(TABLE)

  monkeypatch.setattr(kept_runs, 'call', call)
  return commands


def run_of(tmp_path, name='flow', seed=1):
  return runs.Run(rows.ROWS[name], seed, str(tmp_path))


def test_a_budget_counts_steps():
  assert BUDGET.num_steps == 1200


def test_a_run_leaves_the_figures_of_its_last_step(tmp_path, trainings):
  run = run_of(tmp_path)
  assert runs.read(run, BUDGET) is None
  result = runs.train(run, BUDGET, 'records')
  assert result['figures'] == {'segm_AP': 0.4, 'segm_AP50': 0.6, 'bbox_AP': 0.5}
  assert [point['step'] for point in result['curve']] == [300, 1200]
  assert result['starts'] == 1
  assert runs.read(run, BUDGET) == json.loads(json.dumps(result))
  (words,) = trainings
  assert {'--data=records', '--size=nano', '--epochs=12', '--batch_size=4'} <= set(words)
  assert sum(word.startswith('--config_file=') for word in words) == 2


def test_an_interrupted_run_continues_in_its_folder(tmp_path, trainings, monkeypatch):
  run, call = run_of(tmp_path), kept_runs.call

  def interrupted(words, log):
    raise KeyboardInterrupt

  monkeypatch.setattr(kept_runs, 'call', interrupted)
  with pytest.raises(KeyboardInterrupt):
    runs.train(run, BUDGET, 'records')
  assert runs.read(run, BUDGET) is None
  monkeypatch.setattr(kept_runs, 'call', call)
  assert runs.train(run, BUDGET, 'records')['starts'] == 2
  assert f'--model_dir={tmp_path}/flow_1' in trainings[0]


def test_a_run_without_its_last_evaluation_is_refused(tmp_path, trainings):
  budget = BUDGET._replace(epochs=24)
  with pytest.raises(TrainingError, match=r'step 2400 .*Got: step 1200'):
    runs.train(run_of(tmp_path), budget, 'records')


def test_a_run_with_another_budget_is_refused(tmp_path, trainings):
  run = run_of(tmp_path)
  runs.train(run, BUDGET, 'records')
  with pytest.raises(ConfigError, match=r'other settings.*"epochs": 6.*"epochs": 12'):
    runs.read(run, BUDGET._replace(epochs=6))


def test_an_interrupted_run_does_not_continue_with_another_budget(tmp_path, monkeypatch):
  def interrupted(words, log):
    raise KeyboardInterrupt

  monkeypatch.setattr(kept_runs, 'call', interrupted)
  for _ in range(2):
    with pytest.raises(KeyboardInterrupt):
      runs.train(run_of(tmp_path), BUDGET, 'records')
  with pytest.raises(ConfigError, match=r'settings\.json .*Expected: .*"epochs": 6'):
    runs.train(run_of(tmp_path), BUDGET._replace(epochs=6), 'records')
