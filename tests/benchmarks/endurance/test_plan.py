"""Tests of the plan of the endurance test."""

import json

from benchmarks.endurance import plan


def test_kills_divide_a_run_into_equal_parts():
  run = plan.RUNS['workers']
  assert run.kill_steps(3000) == [750, 1500, 2250]
  assert len(run.kills) == plan.NUM_KILLS == 3
  assert plan.RUNS['alone_0'].kill_steps(3000) == []


def test_several_checkpoints_lie_between_two_kills():
  assert plan.interval(3000) == 100
  assert plan.interval(400) == 50
  assert plan.interval(8) == plan.interval(4) == 1


def test_workers_find_each_other_and_others_are_alone(monkeypatch):
  monkeypatch.setenv('SOMETHING', 'kept')
  (alone,) = plan.environments(plan.RUNS['alone_0'])
  assert alone['SOMETHING'] == 'kept' and 'TF_CONFIG' not in alone
  configs = [json.loads(each['TF_CONFIG']) for each in plan.environments(plan.RUNS['workers'])]
  assert [config['task']['index'] for config in configs] == [0, 1]
  assert configs[0]['cluster'] == configs[1]['cluster']
  assert len(set(configs[0]['cluster']['worker'])) == 2


def test_all_runs_train_alike():
  trees = [plan.overrides(run, 400) for run in plan.RUNS.values()]
  assert [tree['task'].pop('seed') for tree in trees] == [0, 1, 2, 0, 0, 0]
  assert [run.num_processes for run in plan.RUNS.values()] == [1, 1, 1, 2, 1, 2]
  for tree, run in zip(trees, plan.RUNS.values()):
    is_shared = run.num_processes > 1
    strategy = {'distribution_strategy': 'multi_worker_mirrored'} if is_shared else None
    assert tree.pop('runtime', None) == strategy
  assert all(tree == trees[0] for tree in trees)
  words = plan.command(plan.RUNS['mirrored'], 400, 'records', 'model', 'file.yaml')
  assert words[2] == 'benchmarks.endurance.mirrored' and '--epochs=4' in words
