"""Tests of the jobs of a seed: what is kept, continued and refused."""

import json
import os

import numpy as np
import pytest

from benchmarks import kept_runs, peer
from benchmarks.beside_original import evaluation, jobs, recipe
from htc_tf.errors import ConfigError, TrainingError
from parity import loss_names
from tests.benchmarks.beside_original import test_agreement
from tests.benchmarks.beside_original.test_recipe import IDS, RECIPE

PLAN = recipe.Plan(RECIPE, 'scenes', 'records', recipe.order(RECIPE, IDS))
PEER = peer.Peer('other_python', '/peer', 'compat')


@pytest.fixture
def commands(monkeypatch):
  """The commands of all jobs, each of which writes its files and nothing else."""
  found = []

  def call(words, log, environment):
    side = recipe.OURS if words[2].endswith('.ours') else recipe.ORIGINAL
    job, folder, *more = words[3 if side == recipe.OURS else 4 :]
    found.append((side, job, words, environment))
    out = os.path.join(folder, side)
    if job == 'first_steps':
      recipe.write_arrays(os.path.join(folder, recipe.INITIAL), test_agreement.INITIAL)
      recipe.write_arrays(os.path.join(out, recipe.FIRST_STEPS), test_agreement.steps())
    if job == 'train':
      content = {'seconds': 60.0, 'losses': {loss_names.TOTAL: [1.0]}}
      recipe.write_json(os.path.join(out, recipe.LOSSES_FILE), content)
    if job == 'detect':
      recipe.write_json(more[1], [f'{side} with {os.path.relpath(more[0], folder)}'])

  monkeypatch.setattr(kept_runs, 'call', call)
  monkeypatch.setattr(evaluation, 'figures', lambda _, detections: {'from': detections[0]})
  return found


def test_a_seed_is_trained_on_both_sides_and_kept(tmp_path, commands, monkeypatch):
  result = jobs.run(PLAN, str(tmp_path), PEER)
  assert [(side, job) for side, job, *_ in commands] == [
    ('ours', 'first_steps'),
    ('mmdet', 'first_steps'),
    ('ours', 'train'),
    ('mmdet', 'train'),
    ('ours', 'detect'),
    ('ours', 'detect'),
    ('mmdet', 'detect'),
  ]
  assert result['figures'] == {
    'mmdet': {'from': 'mmdet with mmdet/final.npz'},
    'mmdet_here': {'from': 'ours with mmdet/final.npz'},
    'ours': {'from': 'ours with ours/final.npz'},
  }
  assert result['seconds'] == {'ours': 60.0, 'mmdet': 60.0}
  commands.clear()
  monkeypatch.setattr(evaluation, 'figures', None)
  assert jobs.run(PLAN, str(tmp_path), PEER) == json.loads(json.dumps(result))
  assert not commands


def test_only_the_original_runs_in_the_environment_of_the_peer(tmp_path, commands):
  jobs.run(PLAN, str(tmp_path), PEER)
  for side, _, words, environment in commands:
    is_original = side == recipe.ORIGINAL
    assert (words[0] == 'other_python') == is_original
    assert (words[3] == 'compat') == is_original
    assert ('/peer' in environment['PYTHONPATH'].split(os.pathsep)) == is_original


def test_an_interrupted_seed_continues_with_the_first_unfinished_job(
  tmp_path, commands, monkeypatch
):
  call = kept_runs.call

  def interrupted(words, log, environment):
    if 'train' in words and words[0] == 'other_python':
      raise KeyboardInterrupt
    call(words, log, environment)

  monkeypatch.setattr(kept_runs, 'call', interrupted)
  with pytest.raises(KeyboardInterrupt):
    jobs.run(PLAN, str(tmp_path), PEER)
  assert jobs.read(str(tmp_path)) is None
  commands.clear()
  monkeypatch.setattr(kept_runs, 'call', call)
  jobs.run(PLAN, str(tmp_path), PEER)
  assert [job for _, job, *_ in commands] == ['train', *['detect'] * 3]


def test_nothing_is_trained_if_the_first_steps_differ(tmp_path, commands, monkeypatch):
  def differing():
    return {**steps(), 'loss/0/rpn_class_loss': np.array(float(len(commands)))}

  steps = test_agreement.steps
  monkeypatch.setattr(test_agreement, 'steps', differing)
  with pytest.raises(TrainingError, match=r'losses of step 1.*at most 1e-05.*Got: 0\.5'):
    jobs.run(PLAN, str(tmp_path), PEER)
  assert [job for _, job, *_ in commands] == ['first_steps', 'first_steps']


def test_a_seed_of_another_plan_is_refused(tmp_path, commands):
  jobs.run(PLAN, str(tmp_path), PEER)
  other = PLAN._replace(recipe=RECIPE._replace(learning_rate=0.01))
  with pytest.raises(ConfigError, match=r'plan\.json was written with other settings'):
    jobs.run(other, str(tmp_path), PEER)
