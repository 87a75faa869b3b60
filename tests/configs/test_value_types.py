"""Tests of the checks of value types."""

import pytest

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.configs.value_types import check_value_types
from htc_tf.errors import ConfigError

WRONG = {
  'string': ({'num_classes': 'many'}, r"m.num_classes is of the wrong type.*int.*'many'"),
  'fraction': ({'num_classes': 2.5}, 'm.num_classes is of the wrong type'),
  'boolean instead of an integer': ({'num_classes': True}, 'm.num_classes is of the wrong type'),
  'integer instead of a boolean': (
    {'include_mask': 1},
    'm.include_mask is of the wrong type.*bool',
  ),
  'nested': ({'anchor': {'scale': 'big'}}, 'm.anchor.scale is of the wrong type.*float'),
  'integer instead of a string': (
    {'cascade': {'sampling_rule': 3}},
    'm.cascade.sampling_rule is of the wrong type',
  ),
  'no list': (
    {'anchor': {'aspect_ratios': 1.0}},
    'm.anchor.aspect_ratios is of the wrong type.*a list',
  ),
  'no value': ({'num_classes': None}, 'm.num_classes has no value. Expected: int. Got: null'),
  'no value for a list': ({'input_size': None}, 'm.input_size has no value'),
  'element': ({'input_size': [64, '64', 3]}, r'm.input_size\[1\] is of the wrong type'),
}


@pytest.mark.parametrize('case', WRONG)
def test_a_value_of_a_wrong_type_is_refused(case):
  overrides, message = WRONG[case]
  config = model_config.HTC()
  config.override(overrides)
  with pytest.raises(ConfigError, match=message):
    check_value_types(config, 'm')


def test_lists_of_configurations_are_checked():
  config = model_config.Cascade(stages=[model_config.Stage(), model_config.Stage(loss_weight='1')])
  with pytest.raises(ConfigError, match=r'c.stages\[1\].loss_weight is of the wrong type'):
    check_value_types(config, 'c')


@pytest.mark.parametrize(
  'config',
  [
    model_config.HTC(),
    task_config.DataConfig(),
    task_config.Losses(rpn_class_weight=2),
    model_config.Anchor(aspect_ratios=[1, 2]),
  ],
)
def test_values_of_the_right_types_are_accepted(config):
  check_value_types(config, 'c')
