"""Tests of the name maps against the complete lists of published names."""

import json

import numpy as np
import pytest

from htc_tf.convert.mmdet_names import (
  MMDET,
  MMDET_BY_CLASS,
  MMDET_ONE_STAGE,
  MMDET_ONE_STAGE_BY_CLASS,
  find_mmdet_map,
)
from htc_tf.convert.name_map import Template
from htc_tf.convert.paddle_names import PADDLE
from htc_tf.convert.torchvision_names import MMCLS, TORCHVISION
from parity.pack import EXTRACT, ZOO_EXTRACT


def published_names(stem):
  folder = EXTRACT if (EXTRACT / f'{stem}_shapes.json').exists() else ZOO_EXTRACT
  return [name for name, _ in json.loads((folder / f'{stem}_shapes.json').read_text())]


@pytest.mark.parametrize(
  'stem,name_map',
  [
    ('mmdet_htc_r50_fpn_1x_coco', MMDET),
    ('mmdet_htc_r101_fpn_20e_coco', MMDET),
    ('htc_res2net-101_fpn_20e_coco', MMDET),
    ('detectors_htc-r50_1x_coco', MMDET),
    ('paddle_r50', PADDLE),
    ('mask-rcnn_r50_fpn_1x_coco', MMDET_ONE_STAGE_BY_CLASS),
    ('cascade-mask-rcnn_r50_fpn_1x_coco', MMDET),
    ('htc_cbv2_swin_base_4conv1f', MMDET),
    ('scnet_r50_fpn_1x_coco', MMDET),
  ],
)
def test_every_published_name_has_a_distinct_path_that_leads_back(stem, name_map):
  paths = set()
  names = [name for name in published_names(stem) if not name_map.ignores(name)]
  for name in names:
    match = name_map.find_path(name)
    assert name_map.find_source(match.name).name == name
    paths.add(match.name)
  assert len(paths) == len(names)


@pytest.mark.parametrize(
  'name_map,name,path',
  [
    (MMDET, 'backbone.layer3.22.bn2.running_var', 'backbone/layer3/22/bn2/moving_variance'),
    (MMDET, 'backbone.layer2.0.conv2.conv_offset.bias', 'backbone/layer2/0/conv2/conv_offset/bias'),
    (MMDET, 'roi_head.bbox_head.2.shared_fcs.1.weight', 'cascade/stages/2/box_head/fcs/1/kernel'),
    (MMDET, 'roi_head.mask_head.1.conv_res.conv.bias', 'cascade/stages/1/mask_head/flow/bias'),
    (PADDLE, 'backbone.res4.res4f.branch2c.norm._mean', 'backbone/layer3/5/bn3/moving_mean'),
    (PADDLE, 'backbone.res2.res2a.short.conv.weight', 'backbone/layer1/0/downsample/0/kernel'),
    (PADDLE, 'bbox_head.head.1.fc7.bias', 'cascade/stages/1/box_head/fcs/1/bias'),
    (MMDET, 'backbone.conv1.weight_gamma', 'backbone/conv1/weight_gamma'),
    (
      MMDET,
      'neck.rfp_modules.0.layer4.2.conv2.offset_l.bias',
      'decoder/feedback_backbone/layer4/2/conv2/offset_l/bias',
    ),
    (
      MMDET,
      'neck.rfp_modules.0.layer2.0.rfp_conv.weight',
      'decoder/feedback_backbone/layer2/0/rfp_conv/kernel',
    ),
    (MMDET, 'neck.rfp_aspp.aspp.3.weight', 'decoder/pooling/convs/3/kernel'),
    (MMDET, 'backbone.stem.7.running_mean', 'backbone/stem/5/moving_mean'),
    (MMDET, 'backbone.layer4.0.convs.2.weight', 'backbone/layer4/0/convs/2/kernel'),
    (MMDET, 'backbone.layer4.0.bns.2.bias', 'backbone/layer4/0/bns/2/beta'),
    (MMDET, 'backbone.layer4.0.downsample.2.weight', 'backbone/layer4/0/downsample/2/gamma'),
    (TORCHVISION, 'layer1.0.conv1.weight', 'backbone/layer1/0/conv1/kernel'),
    (MMCLS, 'backbone.bn1.weight', 'backbone/bn1/gamma'),
  ],
)
def test_names_and_paths_are_translated(name_map, name, path):
  assert name_map.find_path(name).name == path
  assert name_map.find_source(path).name == name


@pytest.mark.parametrize('variable', ['gamma', 'kernel'])
def test_the_variables_of_a_model_decide_what_an_ambiguous_name_means(variable):
  name, path = 'backbone.layer2.0.downsample.1.weight', 'backbone/layer2/0/downsample/1'
  match = MMDET.find_path(name, {f'{path}/{variable}', f'{path}/beta'})
  assert match.name == f'{path}/{variable}'
  assert bool(match.row.steps) == (variable == 'kernel')
  assert MMDET.find_source(match.name).name == name
  assert MMDET.find_path(name).name == f'{path}/gamma'


@pytest.mark.parametrize(
  'name_map,name',
  [
    (MMDET, 'backbone.layer1.0.conv1'),
    (MMDET, 'backbone.layer1.x.conv1.weight'),
    (MMDET, 'xbackbone.conv1.weight'),
    (MMDET, 'backbone.layer3.022.bn2.running_var'),
    (MMDET, 'backbone.layer3.٢.bn2.running_var'),  # An Arabic digit, which \d and int accept.
    (MMDET, 'backbone.layer03.2.bn2.running_var'),
    (PADDLE, 'backbone.res2.res3a.short.conv.weight'),
  ],
)
def test_unknown_names_have_no_path(name_map, name):
  assert name_map.find_path(name) is None
  assert not name_map.ignores(name)


@pytest.mark.parametrize(
  'name_map,name',
  [
    (MMDET, 'backbone.bn1.num_batches_tracked'),
    (TORCHVISION, 'fc.weight'),
    (MMCLS, 'head.fc.bias'),
  ],
)
def test_entries_that_the_model_does_not_need_are_ignored(name_map, name):
  assert name_map.ignores(name)


def test_a_template_matches_and_fills_names():
  template = Template('res{layer:from2}.res{layer:from2}{block:letter}.{conv}')
  assert template.match('res3.res3b.10') == {'layer': 1, 'block': 1, 'conv': 10}
  assert template.fill({'layer': 1, 'block': 1, 'conv': 10}) == 'res3.res3b.10'
  assert template.match('res3.res4b.1') is None
  assert template.match('res1.res1b.1') is None


@pytest.mark.parametrize('notation', ['x', 'x:from1', 'x:from2', 'x:letter'])
def test_every_number_has_one_text(notation):
  template = Template(f'a{{{notation}}}')
  for value in range(25):
    name = template.fill({'x': value})
    assert template.match(name) == {'x': value}
    assert template.match(f'a0{name[1:]}') is None


@pytest.mark.parametrize(
  'name,size,name_map',
  [
    ('roi_head.bbox_head.0', 4, MMDET),
    ('roi_head.bbox_head.0', 320, MMDET_BY_CLASS),
    ('roi_head.bbox_head', 4, MMDET_ONE_STAGE),
    ('roi_head.bbox_head', 320, MMDET_ONE_STAGE_BY_CLASS),
  ],
)
def test_the_name_map_is_found_by_the_names_and_the_box_deltas(name, size, name_map):
  tensors = {
    f'{name}.fc_reg.weight': np.zeros([size, 8]),
    f'{name}.fc_cls.weight': np.zeros([81, 8]),
  }
  assert find_mmdet_map(tensors) is name_map
