"""Tests of the facts that variables and configuration both tell."""

import pytest

from htc_tf.configs import model as model_config
from htc_tf.convert import traits
from htc_tf.convert.variables import named_variables
from tests import tiny

SHAPES = {
  'backbone/layer1/0/conv2/kernel': (3, 3, 4, 128),
  'backbone/layer1/0/conv3/kernel': (1, 1, 128, 256),
  'backbone/layer2/0/conv2/kernel': (3, 3, 8, 256),
  'backbone/layer2/1/conv2/kernel': (3, 3, 8, 256),
  'backbone/layer2/1/conv2/conv_offset/kernel': (3, 3, 256, 18),
  'decoder/reduction/kernel': (1, 1, 270, 256),
  'cascade/stages/0/box_head/fcs/0/kernel': (12544, 1024),
  'cascade/stages/0/box_head/class_deltas/kernel': (1024, 320),
  'cascade/stages/1/box_head/fcs/0/kernel': (12544, 1024),
}


def test_facts_are_read_from_paths_and_shapes():
  found = traits.of_variables(SHAPES)
  assert found.kind == 'ResNet'
  assert found.backbone['blocks'] == [1, 2, 0, 0]
  assert (found.backbone['groups'], found.backbone['channels per group or scale']) == (32, 4)
  assert found.backbone['bottlenecks'] and found.backbone['deformable stages'] == [2]
  assert found.rest['decoder'] == 'HRFPN'
  assert (found.rest['stages'], found.rest['boxes by class']) == (2, True)
  assert found.rest['linear layers of a box head'] == 1
  assert found.rest['masks'] == 'none' and not found.rest['semantic branch']


@pytest.mark.parametrize(
  'overrides',
  [
    {},
    {'semantic_head': {'enabled': False}},
    {'include_mask': False},
    {'cascade': {'mask_information_flow': False}},
    {'box_head': {'class_agnostic': False, 'num_convs': 2, 'num_fcs': 1}},
    {'box_head': {'num_convs': 1, 'conv_filters': 4, 'norm_groups': 2}},
    {'mask_head': {'norm_groups': 2}, 'decoder': {'published_fpn': {'norm_groups': 2}}},
    {'backbone': {'published_resnet': {'model_id': 50, 'deformable_stages': [4]}}},
    {
      'backbone': {
        'published_resnet': {'model_id': 50, 'deformable_stages': [4], 'modulated': True}
      }
    },
  ],
)
def test_a_model_and_its_configuration_tell_the_same(overrides):
  config = tiny.model(num_classes=4)
  config.override(overrides)
  shapes = {path: variable.shape for path, variable in named_variables(tiny.build(config)).items()}
  assert traits.differences(traits.of_variables(shapes), traits.of_config(config)) == []


def test_the_boxes_of_one_class_fit_shared_ones():
  """The shapes are the same."""
  by_class = tiny.model(1, num_classes=2, box_head={'class_agnostic': False})
  shapes = {path: each.shape for path, each in named_variables(tiny.build(by_class)).items()}
  expected = traits.of_config(tiny.model(1, num_classes=2, box_head={'class_agnostic': True}))
  assert traits.differences(traits.of_variables(shapes), expected) == []


def test_differences_are_named():
  expected = traits.of_config(model_config.HTC())
  config = model_config.HTC()
  config.override(
    {
      'backbone': {'published_resnet': {'model_id': 101, 'deformable_stages': [3]}},
      'semantic_head': {'enabled': False},
    }
  )
  assert traits.differences(traits.of_config(config), expected) == [
    'blocks: [3, 4, 23, 3] instead of [3, 4, 6, 3]',
    'deformable stages: [3] instead of none',
    'semantic branch: no instead of yes',
  ]


def test_backbones_of_two_kinds_are_not_compared_further():
  config = model_config.HTC()
  config.override({'backbone': {'type': 'published_hrnet'}, 'decoder': {'type': 'published_hrfpn'}})
  found = traits.of_config(config)
  assert traits.differences(found, traits.of_config(model_config.HTC())) == [
    'backbone: HRNet instead of ResNet',
    'decoder: HRFPN instead of FPN',
  ]
