"""Tests of the published names of parts that no published HTC has."""

import pytest

from htc_tf.convert import transforms
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.variables import named_variables
from tests import tiny

_GROUPS = 2
_GROUP_NORM = {
  'box_head': {'num_convs': 2, 'num_fcs': 1, 'conv_filters': 8, 'norm_groups': _GROUPS},
  'mask_head': {'norm_groups': _GROUPS},
  'decoder': {'published_fpn': {'norm_groups': _GROUPS}},
}
# Modules of a convolution and a norm, as FPN, Shared4Conv1FCBBoxHead and HTCMaskHead of mmdetection
# 3.3.0 name them with norm_cfg=dict(type='GN', num_groups=2); HTCMaskHead of the second stage.
_MODULES = (
  *(f'neck.{kind}_convs.{level}' for kind in ('lateral', 'fpn') for level in range(4)),
  *(f'roi_head.bbox_head.1.shared_convs.{index}' for index in range(2)),
  'roi_head.mask_head.1.convs.0',
  'roi_head.mask_head.1.conv_res',
)
_ENTRIES = ('conv.weight', 'gn.weight', 'gn.bias')


def published(model):
  """Shapes of all variables by published name."""
  shapes = {}
  for path, variable in named_variables(model).items():
    match = MMDET.find_source(path)
    shapes[match.name] = transforms.revert(match.row.steps, variable.numpy()).shape
  return shapes


@pytest.mark.parametrize('num_stages', [1, 2, 3])
def test_group_norms_have_the_names_of_mmdetection(num_stages):
  names = published(tiny.build(tiny.model(num_stages, **_GROUP_NORM)))
  expected = {
    f'{module}.{entry}'
    for module in _MODULES
    if num_stages > 1 or '.1.' not in module.replace('_convs.1', '')
    for entry in _ENTRIES
  }
  assert expected <= set(names)
  heads = {
    name
    for name in names
    if name.startswith(('neck.', 'roi_head.bbox_head.1.shared_convs', 'roi_head.mask_head.1.conv'))
  }
  logits = {f'roi_head.mask_head.1.conv_logits.{entry}' for entry in ('weight', 'bias')}
  assert heads == (expected | logits if num_stages > 1 else expected)
  assert names['neck.lateral_convs.0.conv.weight'][2:] == (1, 1)
  assert names['neck.fpn_convs.0.gn.weight'] == (tiny.CHANNELS,)


def test_entries_of_group_norms_find_their_variables():
  variables = named_variables(tiny.build(tiny.model(**_GROUP_NORM)))
  found = {MMDET.find_path(MMDET.find_source(path).name, variables).name for path in variables}
  assert found == set(variables)


def test_entries_of_a_model_without_norm_find_their_variables():
  variables = named_variables(tiny.build(tiny.model()))
  found = {MMDET.find_path(MMDET.find_source(path).name, variables).name for path in variables}
  assert found == set(variables)
