"""Tests of what both sides of the comparison follow."""

import numpy as np
import pytest

from benchmarks.beside_original import recipe
from parity import loss_names

RECIPE = recipe.Recipe(
  seed=3, num_images=10, num_classes=7, num_semantic_classes=11, side=192, epochs=3, batch_size=4
)
IDS = list(range(1, 11))


def test_every_epoch_has_another_permutation():
  steps = recipe.order(RECIPE, IDS)
  assert len(steps) == RECIPE.num_steps == 6
  epochs = [[*first, *second] for first, second in zip(steps[::2], steps[1::2])]
  assert all(len(set(epoch)) == 8 and set(epoch) <= set(IDS) for epoch in epochs)
  assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_depends_on_the_seed_and_not_on_that_of_the_file():
  steps = recipe.order(RECIPE, IDS)
  assert recipe.order(RECIPE, IDS[::-1]) == steps
  assert recipe.order(RECIPE._replace(seed=4), IDS) != steps


def test_another_choice_changes_nothing_but_the_sampling():
  other = RECIPE._replace(choice=4)
  assert recipe.order(other, IDS) == recipe.order(RECIPE, IDS)
  assert other.seed == RECIPE.seed and other.sampling_seed == 4
  assert RECIPE.sampling_seed == RECIPE.seed
  assert {RECIPE.name, other.name} == {f'seed_{RECIPE.seed}', f'seed_{RECIPE.seed}_choice_4'}


def test_the_rate_rises_and_falls_twice():
  rates = recipe.rates(RECIPE._replace(epochs=60))
  assert len(rates) == 120
  assert rates[0] == pytest.approx(0.02 / 1000)
  assert rates[3] == pytest.approx(0.02 * (0.001 + 0.999 / 5))
  assert rates[[15, 79, 80, 109, 110, 119]] == pytest.approx(
    [0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002]
  )


def test_the_first_steps_have_a_slow_warm_up():
  assert recipe.of_first_steps(RECIPE).warmup_steps == 100
  long = RECIPE._replace(epochs=900)
  assert recipe.of_first_steps(long) == long


def test_a_plan_is_read_as_it_was_written(tmp_path):
  plan = recipe.Plan(RECIPE, 'scenes', 'records', recipe.order(RECIPE, IDS))
  recipe.write_json(recipe.plan_path(str(tmp_path)), recipe.content(plan))
  assert recipe.read_plan(str(tmp_path)) == plan


def test_arrays_are_written_completely(tmp_path):
  path = tmp_path / 'arrays.npz'
  recipe.write_arrays(str(path), {'loss/0/total': 1.5, 'a': np.arange(3)})
  assert {key: value.tolist() for key, value in recipe.read_arrays(str(path)).items()} == {
    'loss/0/total': 1.5,
    'a': [0, 1, 2],
  }
  assert [file.name for file in tmp_path.iterdir()] == ['arrays.npz']


def test_a_line_of_the_log_has_the_mean_of_the_last_steps():
  curves = {loss_names.TOTAL: [9.0, 3.0, 2.0]}
  line = recipe.progress(3, RECIPE, curves, 6.0)
  assert line == 'step 3 of 6: loss 4.667, 2.00 s/step'
