"""Tests of repeatable runs."""

import pytest
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.training import seeding
from tests import tiny_records, training_runs

NUM_STEPS = 20


@pytest.fixture(scope='module')
def config(tmp_path_factory):
  folder = tmp_path_factory.mktemp('records')
  records = tiny_records.write(folder, sizes=((64, 64), (64, 48), (48, 64)))
  return training_runs.write_config(
    folder / 'config.yaml', records, NUM_STEPS, {'trainer': {'checkpoint_interval': NUM_STEPS}}
  )


def test_the_same_seed_gives_the_same_losses_bit_for_bit(config, tmp_path):
  runs = [tmp_path / name for name in ('first', 'again', 'other')]
  for run, seed in zip(runs, (7, 7, 8)):
    training_runs.train(run, config, f'task.seed={seed}')
  first, again, other = map(training_runs.summaries, runs)
  assert {step for step, tag in first if tag == 'loss/total_loss'} == set(range(1, NUM_STEPS + 1))
  assert first == again
  losses = [key for key in first if key[1] == 'loss/total_loss']
  assert all(first[key] != other[key] for key in losses)
  weights, weights_again = (
    training_runs.tensors(str(run / f'ckpt-{NUM_STEPS}')) for run in runs[:2]
  )
  training_runs.assert_same(weights_again, weights)


def test_without_a_seed_the_configuration_is_unchanged():
  params = exp_factory.get_exp_config('htc_nuclei')
  before = params.as_dict()
  seeding.fix_seeds(params, 5)
  assert params.as_dict() == before


def test_permutations_continue_where_the_run_was_interrupted(tmp_path):
  """The seed is that of the run, not of the start, and differs between model directories."""

  def order(name, step, seed=None):
    params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
    params.task.seed = seed
    seeding.continue_permutations(params, str(tmp_path / name), step)
    return params.task.train_data.permutation_seed, params.task.train_data.num_read

  assert order('a', 5) == (order('a', 0)[0], 80)
  assert order('a', 0) != order('b', 0)
  assert order('a', 5, seed=7) == order('b', 5, seed=7) == (7, 80)
