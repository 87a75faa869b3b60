"""Tests of the checks of group norms; test_validation.py has those of the other keys of a model."""

import pytest

from htc_tf.configs import model_validation
from htc_tf.errors import ConfigError
from tests import tiny

WRONG_GROUP_NORMS = {
  'groups that do not divide the channels': (
    {'mask_head': {'norm_groups': 24}},
    'mask_head.norm_groups does not divide the channels.*num_filters = .*Got: 24',
  ),
  'groups of a box head that do not divide the channels': (
    {'box_head': {'num_convs': 4, 'conv_filters': 48, 'norm_groups': 32}},
    'box_head.norm_groups does not divide the channels.*conv_filters = 48.*Got: 32',
  ),
  'groups of a decoder that do not divide the channels': (
    {'decoder': {'published_fpn': {'norm_groups': 48}}},
    'published_fpn.norm_groups does not divide the channels.*Got: 48',
  ),
  'group norms without convolutions': (
    {'box_head': {'norm_groups': 32}},
    'box_head.norm_groups has no effect.*num_convs above 0',
  ),
  'group norms of residual convolutions': (
    {'mask_head': {'residual': True, 'num_convs': 2, 'norm_groups': 2}},
    'mask_head.norm_groups cannot be used.*residual=false',
  ),
}


@pytest.mark.parametrize('case', WRONG_GROUP_NORMS)
def test_group_norms_that_do_not_fit_are_refused(case):
  overrides, message = WRONG_GROUP_NORMS[case]
  config = tiny.model()
  config.override(overrides)
  with pytest.raises(ConfigError, match=message):
    model_validation.validate_model(config)
