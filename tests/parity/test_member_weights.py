"""Tests of the weights of larger networks."""

import json

import numpy as np
import pytest

from parity import member_weights, members, step_weights
from parity.pack import MEMBER_EXTRACT, ZOO_EXTRACT, MissingArrayError, Pack

SHAPES = {
  'conv.weight': (4, 3, 1, 1),
  'norm.weight': (10000,),
  'norm.running_mean': (10000,),
  'norm.running_var': (10000,),
  'attn.relative_position_index': (9, 9),
}


def test_statistics_are_drawn_around_the_mean_square():
  state = member_weights.state_dict(SHAPES, {'norm': 4.0})
  mean, variance = state['norm.running_mean'], state['norm.running_var']
  assert mean.dtype == variance.dtype == np.float32
  np.testing.assert_allclose([mean.mean(), mean.std()], [0.0, 0.2], atol=0.01)
  np.testing.assert_allclose([variance.min(), variance.max()], [2.0, 6.0], atol=0.01)


def test_parameters_are_those_of_the_rule():
  state = member_weights.state_dict(SHAPES, {})
  assert set(state) == {'conv.weight', 'norm.weight'}
  expected = step_weights.rule().weight('conv.weight', (4, 3, 1, 1), SHAPES)
  np.testing.assert_array_equal(state['conv.weight'], expected)


@pytest.mark.parametrize('variant', members.variants(), ids=lambda variant: variant.config)
def test_each_reference_has_a_measured_norm_for_each_statistic(variant):
  arrays = Pack(MEMBER_EXTRACT).arrays(variant.config)
  norms = member_weights.norm_names(list(step_weights.stored_shapes(arrays)))
  assert len(norms) == len(arrays['mean_squares'])
  assert np.all(arrays['mean_squares'] > 0.0)


@pytest.mark.parametrize('config', ['detectors_htc-r101_20e_coco', 'htc_cbv2_swin_large_4conv1f'])
def test_the_network_of_the_reference_has_the_published_shapes(config):
  published = json.loads((ZOO_EXTRACT / f'{config}_shapes.json').read_text('ascii'))
  computed = ('.num_batches_tracked', '.relative_position_index')
  expected = {name: tuple(shape) for name, shape in published if not name.endswith(computed)}
  assert step_weights.stored_shapes(Pack(MEMBER_EXTRACT).arrays(config)) == expected


def test_a_missing_reference_is_named(tmp_path):
  with pytest.raises(MissingArrayError, match=r'scnet_r101_fpn_20e_coco\.npz'):
    Pack(tmp_path).member_state('scnet_r101_fpn_20e_coco', '')
