"""Tests of the comparison of first steps."""

import numpy as np
import pytest

from benchmarks.beside_original import agreement, recipe

INITIAL = {'conv.weight': np.zeros([2, 2]), 'bn.running_mean': np.zeros(3)}


def steps():
  """First steps of a side."""
  arrays = {
    'input/images': np.linspace(-2, 2, 24).reshape(1, 3, 2, 4),
    'input/labels/0': np.array([1, 5]),
    'proposals/0/0': np.array([[0.0, 0.0, 9.0, 9.0], [3.0, 4.0, 8.0, 9.0]]),
    'rates': np.array([0.1, 0.2]),
    'weights/conv.weight': np.full([2, 2], 0.5),
    'weights/bn.running_mean': np.full(3, 0.1),
  }
  for step in range(recipe.NUM_FIRST_STEPS):
    for name in ('total', 'rpn_class_loss', 'stage0_mask_loss'):
      arrays[f'loss/{step}/{name}'] = np.array(4.0 - step / 2)
  return arrays


def failed(original):
  return [check.name for check in agreement.checks(INITIAL, steps(), original) if not check.ok]


def test_equal_steps_agree():
  checks = agreement.checks(INITIAL, steps(), steps())
  assert len(checks) == 9
  assert all(check.ok and check.measured == 0 for check in checks)


@pytest.mark.parametrize(
  'key,change,name',
  [
    ('input/images', 1e-3, 'network input of step 1'),
    ('input/labels/0', 1, 'ground truth of step 1'),
    ('proposals/0/0', 0.1, 'proposals of step 1'),
    ('rates', 1e-3, 'learning rates'),
    ('loss/0/rpn_class_loss', 1e-4, 'losses of step 1'),
    ('loss/0/stage0_mask_loss', 5e-3, 'mask losses and total of step 1'),
    ('loss/0/total', 5e-3, 'mask losses and total of step 1'),
    ('loss/3/total', 0.1, 'losses of steps 2 to 5'),
    ('weights/conv.weight', 0.01, 'update of the parameters'),
    ('weights/bn.running_mean', 0.01, 'update of the running statistics'),
  ],
)
def test_a_difference_fails_its_check(key, change, name):
  original = steps()
  original[key] = original[key] + change
  (found,) = failed(original)
  assert found.startswith(name)


def test_ground_truth_of_one_side_only_fails():
  original = steps()
  original['input/boxes/0'] = np.zeros([2, 4])
  (found,) = failed(original)
  assert found.startswith('ground truth')


def test_an_additional_proposal_fails():
  original = steps()
  original['proposals/0/0'] = np.concatenate([original['proposals/0/0'], [[5.0, 5.0, 6.0, 6.0]]])
  (found,) = failed(original)
  assert found.startswith('proposals')
