"""Tests of one training step of R50 against the reference: sampling, losses and gradients."""

import zlib

import numpy as np
import pytest

from parity import training, training_gradients, training_sampling, training_step
from parity.check import at_most
from parity.pack import EXTRACT


def _load(name):
  with np.load(EXTRACT / name) as arrays:
    return dict(arrays)


def _stored_arrays():
  """All arrays of the pack; arrays that the extracts omit are computed from other arrays."""
  arrays = {**_load('training_step.npz'), **_load('training_inputs.npz')}
  arrays['image0_bgr'] = _load('r50_maps.npz')['image0_bgr']
  for image in range(2):
    arrays[f'proposals_image{image}'] = arrays[f'stage0/box_sampling_image{image}/input_boxes']
    arrays[f'proposal_scores_image{image}'] = np.zeros([2000], np.float32)  # not read
    packed = arrays[f'gt_image{image}_masks_padded_packed']
    arrays[f'gt_image{image}_masks'] = np.unpackbits(packed, axis=-1)
    for stage in range(2):  # The mask branch of a stage samples from the input of the next stage.
      arrays[f'stage{stage}/mask_sampling_image{image}/input_boxes'] = arrays[
        f'stage{stage + 1}/box_sampling_image{image}/input_boxes'
      ]
  for stage in range(3):
    packed = arrays[f'stage{stage}/mask_targets_packed']
    arrays[f'stage{stage}/mask_targets'] = np.unpackbits(packed, axis=-1).reshape(-1, 28, 28)
  return arrays


@pytest.fixture(scope='module', name='step')
def _step():
  return training_step.make_step(_stored_arrays())


@pytest.fixture(scope='module', name='task')
def _task():
  return training.step_config()


@pytest.fixture(scope='module', name='model')
def _model(task):
  return training.build_model(task, EXTRACT)


@pytest.fixture(scope='module', name='result')
def _result(task, model, step):
  return training.run_step(task, model, step)


def _assert_ok(checks):
  assert not [check for check in checks if not check.ok]


def test_assignments_samples_and_mask_targets_equal_the_reference(model, result, step):
  checks = training_sampling.sampling_checks(model, result.outputs, step)
  assert len(checks) == 2 + 3 * (3 + 3 + 1)
  _assert_ok(checks)


def test_every_loss_equals_the_reference(result, step):
  checks = training.loss_checks(result.terms, step.arrays)
  assert len(checks) == 3 + 3 * 3 + 1
  _assert_ok(checks)


def test_checks_fail_for_other_ground_truth(model, result, step):
  """Shifted ground-truth boxes of one image change the assignment and the samples."""
  arrays = dict(step.arrays)
  arrays['gt_image1_boxes'] = arrays['gt_image1_boxes'] + 40
  checks = training_sampling.sampling_checks(model, result.outputs, step._replace(arrays=arrays))
  failed = {check.name for check in checks if not check.ok}
  assert 'RPN: anchors assigned differently' in failed
  assert 'stage0 box_sampling: RoIs sampled differently' in failed


def _figures(gradients):
  """Figures of gradients, computed like those that the reference stores."""
  figures = {}
  for name, values in gradients.items():
    direction = np.random.default_rng(zlib.crc32(f'grad:{name}'.encode())).standard_normal(
      values.shape
    )
    figures[name] = {'norm': np.sqrt(np.sum(values**2)), 'probe': np.sum(values * direction)}
  return figures


@pytest.mark.parametrize(
  'change, failed',
  [
    (lambda gradients: gradients, ''),
    (lambda gradients: {**gradients, 'a': 1.02 * gradients['a']}, 'norm, largest'),
    (lambda gradients: {**gradients, 'a': -gradients['a']}, 'probe'),
    (lambda gradients: {name: gradients[name] for name in 'bc'}, 'only'),
    (lambda gradients: {**gradients, 'frozen': gradients['a']}, 'only'),
  ],
)
def test_checks_fail_for_other_gradients(change, failed):
  gradients = {name: np.full([2, 3], value) for name, value in zip('abc', (1.0, 2.0, -3.0))}
  figures = {**_figures(gradients), 'frozen': None}
  checks = training_gradients.gradient_checks(change(gradients), figures)
  names = [check.name for check in checks if not check.ok]
  assert len(names) == bool(failed)
  assert all(failed in name for name in names)


def test_the_check_of_nan_fails():
  assert not at_most('a figure', float('nan'), 1.0).ok
  assert at_most('a figure', 1.0, 1.0).ok


@pytest.mark.slow
def test_every_gradient_equals_the_reference(task, model, step):
  variables = model.trainable_variables
  result = training.run_step(task, model, step, variables)
  gradients = training_gradients.published_gradients(model, variables, result.gradients)
  checks = training_gradients.gradient_checks(gradients, training_gradients.read_figures(EXTRACT))
  assert len(gradients) == 234
  _assert_ok(checks)
