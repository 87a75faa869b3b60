"""Tests of the errors that the checks of backbones and of their decoders raise."""

import pytest

from htc_tf.configs import model_validation
from htc_tf.errors import ConfigError
from tests import tiny

WRONG_MODELS = {
  'groups': (
    {'backbone': {'published_resnet': {'groups': 0}}},
    'published_resnet.groups is out of range.*positive.*Got: 0',
  ),
  'base width': (
    {'backbone': {'published_resnet': {'base_width': -4}}},
    'published_resnet.base_width is out of range.*Got: -4',
  ),
  'no channel in a group': (
    {'backbone': {'published_resnet': {'model_id': 50, 'groups': 32, 'base_width': 4}}},
    r'base_width is too small.*Got: 4 \* 0.125',
  ),
  'deformable levels': (
    {'backbone': {'published_resnet': {'model_id': 50, 'deformable_stages': [3, 4, 5]}}},
    r'deformable_stages is wrong.*stages from 1 to 4.*Got: \[3, 4, 5\].*stages 2-4',
  ),
  'groups of basic blocks': (
    {'backbone': {'published_resnet': {'model_id': 18, 'groups': 32, 'base_width': 8}}},
    'needs bottleneck blocks.*model_id 50, 101 or 152.*Got: model_id 18',
  ),
  'modulated convolutions in no stage': (
    {'backbone': {'published_resnet': {'model_id': 50, 'modulated': True}}},
    r'published_resnet.modulated has no effect.*deformable_stages, e.g. \[2, 3, 4\]',
  ),
  'deformable basic blocks': (
    {'backbone': {'published_resnet': {'model_id': 34, 'deformable_stages': [4]}}},
    'needs bottleneck blocks.*Got: model_id 34',
  ),
  'scales of basic blocks': (
    {'backbone': {'published_resnet': {'model_id': 18, 'scales': 4, 'avg_down': True}}},
    'needs bottleneck blocks.*scales.*Got: model_id 18',
  ),
  'scales without average pooling': (
    {'backbone': {'published_resnet': {'model_id': 50, 'scales': 4}}},
    'published_resnet.scales cannot be used.*avg_down=true.*Got: .*avg_down=false',
  ),
  'scales of groups': (
    {
      'backbone': {'published_resnet': {'model_id': 50, 'scales': 4, 'avg_down': True, 'groups': 2}}
    },
    'published_resnet.scales cannot be used.*groups=1.*Got: groups=2',
  ),
  'deformable scales': (
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'scales': 4,
          'avg_down': True,
          'deformable_stages': [4],
        }
      }
    },
    r'published_resnet.scales cannot be used.*Got: .*deformable_stages=\[4\]',
  ),
  'switchable levels': (
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'standardized': True,
          'switchable_stages': [3, 4, 5],
        }
      }
    },
    r'switchable_stages is wrong.*stages from 1 to 4.*Got: \[3, 4, 5\]',
  ),
  'switchable stages alone': (
    {'backbone': {'published_resnet': {'model_id': 50, 'switchable_stages': [4]}}},
    'switchable_stages cannot be used.*standardized=true.*Got: standardized=false',
  ),
  'switchable and deformable': (
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'standardized': True,
          'switchable_stages': [3, 4],
          'deformable_stages': [2, 3],
        }
      }
    },
    r'switchable_stages cannot be used.*Got: .*\[3\] in both',
  ),
  'switchable basic blocks': (
    {
      'backbone': {
        'published_resnet': {'model_id': 18, 'standardized': True, 'switchable_stages': [4]}
      }
    },
    'needs bottleneck blocks.*Got: model_id 18',
  ),
  'switchable scales': (
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'scales': 4,
          'avg_down': True,
          'standardized': True,
          'switchable_stages': [4],
        }
      }
    },
    r'published_resnet.scales cannot be used.*Got: .*switchable_stages=\[4\]',
  ),
  'recursion of another backbone': (
    {'backbone': {'type': 'resnet'}, 'decoder': {'type': 'recursive_fpn'}},
    'decoder.type cannot be recursive_fpn.*published_resnet.*Got: resnet',
  ),
  'recursion of scales': (
    {
      'backbone': {'published_resnet': {'model_id': 50, 'scales': 4, 'avg_down': True}},
      'decoder': {'type': 'recursive_fpn'},
    },
    'decoder.type cannot be recursive_fpn.*Got: published_resnet, scales=4',
  ),
  'recursion of few levels': (
    {
      'max_level': 4,
      'roi_aligner': {'published': {'max_level': 4}},
      'decoder': {'type': 'recursive_fpn'},
    },
    r'decoder.type cannot be recursive_fpn.*3 to 5.*Got: 2..4',
  ),
  'no channel in a branch': (
    {'decoder': {'type': 'recursive_fpn', 'recursive_fpn': {'aspp_filters': 0}}},
    'recursive_fpn.aspp_filters is out of range.*Got: 0',
  ),
  'recompute without norm_eval': (
    {'backbone': {'published_resnet': {'recompute': True, 'norm_eval': False}}},
    'published_resnet.recompute cannot be used.*norm_eval=true',
  ),
  'norms with statistics alone': (
    {'backbone': {'published_resnet': {'train_norms': False, 'norm_eval': False}}},
    'published_resnet.train_norms cannot be false.*norm_eval=true.*Got: norm_eval=false',
  ),
  'no width': (
    {'backbone': {'type': 'published_hrnet', 'published_hrnet': {'width': 0}}},
    'published_hrnet.width is out of range.*positive.*Got: 0',
  ),
  'a stage without a depth': (
    {'backbone': {'type': 'published_swin', 'published_swin': {'depths': [2, 2, 6]}}},
    r'published_swin.depths is wrong.*4 numbers.*Got: \[2, 2, 6\]',
  ),
  'heads of another size': (
    {'backbone': {'type': 'published_swin', 'published_swin': {'embed_dim': 128}}},
    r'published_swin.num_heads does not fit embed_dim.*Got: \[3, 6, 12, 24\].*another size',
  ),
  'a window of one pixel': (
    {'backbone': {'type': 'published_swin', 'published_swin': {'window_size': 1}}},
    'published_swin.window_size is out of range.*Got: 1',
  ),
  'modules of stage 1': (
    {'backbone': {'type': 'published_hrnet', 'published_hrnet': {'num_modules': [1, 1, 4, 3]}}},
    r'published_hrnet.num_modules is wrong.*three numbers.*Got: \[1, 1, 4, 3\].*stage 1',
  ),
  'no module': (
    {'backbone': {'type': 'published_hrnet', 'published_hrnet': {'num_modules': [1, 0, 3]}}},
    'published_hrnet.num_modules.* is out of range.*Got: 0',
  ),
  'recompute of HRNet without norm_eval': (
    {
      'backbone': {
        'type': 'published_hrnet',
        'published_hrnet': {'recompute': True, 'norm_eval': False},
      }
    },
    'published_hrnet.recompute cannot be used.*norm_eval=true',
  ),
  'channels of HRFPN': (
    {'decoder': {'type': 'published_hrfpn', 'published_hrfpn': {'num_filters': 16}}},
    'mask_head.num_filters does not fit the decoder.*Expected: 16.*Got: 8',
  ),
}


@pytest.mark.parametrize('case', WRONG_MODELS)
def test_a_wrong_backbone_is_refused(case):
  overrides, message = WRONG_MODELS[case]
  config = tiny.model()
  config.override(overrides)
  with pytest.raises(ConfigError, match=message) as error:
    model_validation.validate_model(config)
  assert 'Expected: ' in str(error.value)
