"""Tests of the evaluation of finished trainings on further pictures."""

import json

import pytest

from benchmarks import kept_runs
from benchmarks.beside_original import evaluation, further, jobs, ours, recipe
from tests.benchmarks.beside_original.test_ours import RECIPE


@pytest.fixture
def runs(tmp_path):
  """Two finished trainings and one that is not finished."""
  for number, choice in enumerate((None, 4, 5)):
    numbers = RECIPE._replace(choice=choice)
    folder = tmp_path / numbers.name
    folder.mkdir()
    plan = recipe.Plan(numbers, 'scenes', 'records', [[1]])
    recipe.write_json(recipe.plan_path(str(folder)), recipe.content(plan))
    for side in (recipe.OURS, recipe.ORIGINAL):
      (folder / side).mkdir()
    if number < 2:
      kept_runs.write_json(str(folder / jobs.RESULT), {})
  return tmp_path


@pytest.fixture
def detected(monkeypatch):
  """Records and weights that were detected with; every second object of the truth is found."""
  calls = []

  def detector(plan, input_path):
    def results_of(weights):
      calls.append((input_path, weights))
      annotations = input_path.replace('records/test-*.tfrecord', 'scenes/test.json')
      with open(annotations, encoding='ascii') as file:
        truth = json.load(file)['annotations']
      step = 1 if recipe.ORIGINAL in weights else 2
      return [{**object_, 'score': 0.9} for object_ in truth[::step]]

    return results_of

  monkeypatch.setattr(ours, 'detector', detector)
  return calls


def test_all_finished_trainings_are_evaluated_once(runs, detected, tmp_path, capsys):
  page = tmp_path / 'page.md'
  page.write_text(f'<!-- {further._PART} -->\nold\n<!-- end of {further._PART} -->\n')
  flags = [f'--runs={runs}', '--pictures=2', f'--docs={page}']
  for _ in range(2):  # The second time, all figures are kept.
    assert further.main(flags) == 0
  assert [weights.removeprefix(f'{runs}/') for _, weights in detected] == [
    f'{name}/{side}/{recipe.FINAL}'
    for name in ('seed_1', 'seed_1_choice_4')
    for side in (recipe.OURS, recipe.ORIGINAL)
  ]
  assert 'seed_1, mmdet: mask AP 100.0, box AP 100.0' in capsys.readouterr().out
  with open(runs / 'further_2' / 'scenes' / 'test.json', encoding='ascii') as file:
    truth = json.load(file)
  assert len(truth['images']) == 2
  half = [{**object_, 'score': 0.9} for object_ in truth['annotations'][::2]]
  expected = evaluation.figures(runs / 'further_2' / 'scenes' / 'test.json', half)
  text = page.read_text()
  assert '| 2 further pictures, 2 trainings of seed 1: mean (each) |' in text and 'old' not in text
  assert '| mmdetection 3.3.0 | 100.0 (100.0, 100.0) | 100.0 (100.0, 100.0) |' in text
  assert f'| htc_tf | {100 * expected["segm_AP"]:.1f} (' in text


def test_a_folder_without_finished_trainings_is_refused(tmp_path, capsys):
  assert further.main([f'--runs={tmp_path}']) == 2
  assert 'There is no finished training' in capsys.readouterr().err
