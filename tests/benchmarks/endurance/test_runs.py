"""Tests of what is kept of a run of the endurance test."""

from benchmarks.endurance import plan, runs
from benchmarks.endurance.processes import Sample

SAMPLES = [
  Sample(start, process, 100 * start + step, 500.0 + process)
  for start in (0, 1)
  for step in range(0, 100, 10)
  for process in (0, 1)
]


def test_each_process_keeps_about_as_many_samples(monkeypatch):
  monkeypatch.setattr(runs, '_KEPT_SAMPLES', 10)
  kept = runs._thinned(SAMPLES)
  assert len(kept) == 20
  for process in (0, 1):
    own = [row for row in kept if row[1] == process]
    assert [row[0] for row in own] == [0] * 5 + [1] * 5
    assert {row[3] for row in own} == {500.0 + process}


def test_the_slope_of_each_process_is_that_of_its_start_with_most_steps_after_an_evaluation():
  short = [[0, 0, step, 10.0 * step] for step in range(0, 1400, 100)]
  long = [[1, 0, step, 2.0 * step] for step in range(1400, 2900, 100)]  # Evaluated at step 2000.
  never = [[2, 1, step, 7.0 * step] for step in range(0, 900, 100)]
  last = [[2, 0, step, 5.0 * step] for step in range(2900, 3400, 100)]
  memory = [*short, *never, *long, *last]
  assert [slope and round(slope) for slope in runs.slopes({'steps': 3000, 'memory': memory})] == [
    2000,
    None,
  ]
  assert runs.slopes({'steps': 3000, 'memory': []}) == []


def test_the_last_step_is_the_last_one_with_a_loss(tmp_path):
  assert runs.last_step(str(tmp_path)) == 0
  (tmp_path / 'results.csv').write_text('step,total_loss,segm_AP\n10,2.5,\n20,1.5,\n30,,0.4\n')
  assert runs.last_step(str(tmp_path)) == 20


def test_a_run_without_its_last_evaluation_has_a_fault_and_no_figures(tmp_path, monkeypatch):
  def train(run, num_steps, records, model_dir):
    for name in ('results.csv', 'checkpoint'):
      with open(f'{model_dir}/{name}', 'w') as file:
        file.write('step,total_loss\n8,2.5\n')
    return SAMPLES, []

  monkeypatch.setattr(runs, '_train_with_kills', train)
  result = runs.train(plan.RUNS['alone_0'], 8, 'records', str(tmp_path))
  assert result['mask_AP'] is None and result['faults']
  assert result['slopes'] == runs.slopes(result)
  assert runs.read(str(tmp_path / 'alone_0.json'), 8)['losses'] == [[8, 2.5]]
