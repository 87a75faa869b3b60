"""Tests of a training step of each family against that of the original."""

import numpy as np
import pytest

from parity import family_steps
from parity.pack import EXTRACT

_QUICK = ('mask_rcnn', 'scnet')


@pytest.mark.parametrize(
  'family',
  [
    pytest.param(family, id=family.name, marks=[] if family.name in _QUICK else [pytest.mark.slow])
    for family in family_steps.FAMILIES
  ],
)
def test_every_loss_and_gradient_equals_the_reference(family):
  checks = family_steps.step_checks(str(EXTRACT), family)
  assert not [check for check in checks if not check.ok]


@pytest.mark.parametrize('family', family_steps.FAMILIES, ids=lambda family: family.name)
def test_every_reference_has_gradients_that_are_not_0(family):
  with np.load(EXTRACT / family.file) as file:
    assert len(file['norms']) == len(file['trained']) > 80
    assert file['norms'].min() > 1e-5
    entries = {str(name) for name in file['names']}
    frozen = entries - {str(name) for name in file['trained']}
  stem = {'backbone.conv1.weight', 'backbone.stem.0.weight'} & entries
  assert stem <= frozen or family.name == 'hrnet'
