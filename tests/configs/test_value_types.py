"""Tests of the checks of value types and ranges."""

import dataclasses
import math

import pytest
from official.core import exp_factory
from official.modeling import hyperparams

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.configs.bounds import Bounds, OneOf
from htc_tf.configs.value_types import check_values, declared_bounds
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
    check_values(config, 'm')


def test_lists_of_configurations_are_checked():
  config = model_config.Cascade(stages=[model_config.Stage(), model_config.Stage(loss_weight='1')])
  with pytest.raises(ConfigError, match=r'c.stages\[1\].loss_weight is of the wrong type'):
    check_values(config, 'c')


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
  check_values(config, 'c')


def ranges(config, path):
  """(path, configuration, field, range) of every field with a range, in nested parts as well."""
  for field, bound in declared_bounds(type(config)).items():
    yield f'{path}.{field}', config, field, bound
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if isinstance(value, hyperparams.Config):
      yield from ranges(value, f'{path}.{field.name}')


def outside(bound):
  """Values that are not in a range."""
  if isinstance(bound, OneOf):
    return ['no such value'] if isinstance(bound.values[0], str) else [max(bound.values) + 1]
  values = [-math.inf, math.inf, math.nan]
  values += [bound.low if bound.above else bound.low - 1] if math.isfinite(bound.low) else []
  return values + ([bound.high if bound.below else bound.high + 1] if bound.high < math.inf else [])


def test_every_declared_range_is_checked():
  """Each value outside is refused with the full name of its field."""
  experiment = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  found = [*ranges(experiment.task, 'task'), *ranges(experiment.trainer, 'trainer')]
  assert len(found) > 100
  for path, config, field, bound in found:
    owner, default = path.rpartition('.')[0], getattr(config, field)
    for value in outside(bound):
      bad = value if isinstance(value, str) or not math.isfinite(value) else type(value)(value)
      config.override({field: [bad] if isinstance(default, list) else bad})
      with pytest.raises(ConfigError, match=rf'^{owner}.{field}(\[0\])? is '):
        check_values(config, owner)
    config.override({field: default})


@pytest.mark.parametrize(
  'bound,text',
  [
    (Bounds(), 'a finite number'),
    (Bounds(0, above=True), 'a positive number'),
    (Bounds(2, above=True), 'a number above 2'),
    (Bounds(-1), '-1 or more'),
    (Bounds(0, 1), 'a number in 0..1'),
    (Bounds(0, 1, above=True), 'a number above 0 and up to 1'),
    (Bounds(0, 1, below=True), 'a number from 0 and below 1'),
  ],
)
def test_a_range_in_words(bound, text):
  assert str(bound) == text
