"""The families of published models, reduced so that a whole model runs in seconds."""

import pathlib
import re
from typing import Any

import pytest
from official.core import config_definitions as cfg

from htc_tf.configs import model as model_config
from htc_tf.configs import parsing
from htc_tf.modeling.backbones import published_resnet
from htc_tf.modeling.htc_model import HTCModel
from tests import tiny, tiny_records

FILES = sorted((pathlib.Path(__file__).parents[1] / 'experiments').glob('*.yaml'))
# A registered experiment, or the name of a file in experiments/, of each row of docs/families.md.
FAMILIES = {
  'HTC': 'htc_resnet50fpn_1x_coco',
  'Mask R-CNN': 'mask_rcnn_resnet50fpn_1x_coco',
  'Cascade Mask R-CNN': 'cascade_mask_rcnn_resnet50fpn_1x_coco',
  'ResNeXt': 'htc_resnext101_32x4d_fpn_20e_coco',
  'Deformable convolutions': 'htc_resnext101_64x4d_dcn_fpn_20e_coco',
  'HRNet': 'htc_hrnetv2p_w18_20e_coco',
  'Res2Net': 'htc_res2net101_v1d_26w_4s_fpn_20e_coco',
  'SAC': 'htc_resnet50sac_fpn_1x_coco',
  'RFP': 'htc_resnet50_rfp_1x_coco',
  'DetectoRS': 'detectors_htc_resnet50_1x_coco',
  'SCNet': 'scnet_resnet50_fpn_1x_coco',
  'CBNetV2 DB-Swin': 'htc_cbnetv2_swin_base_coco',
  'CBNetV2 DB-Swin, 4conv1fc': 'htc_cbnetv2_swin_base_4conv1fc_coco',
}
# Families in whose stages something depends on the stage before; the others are tested with one.
_OF_STAGES = ('HTC', 'Cascade Mask R-CNN', 'SCNet')
# Of the 64 groups of a ResNeXt, as many as have a channel in a small model.
_MAX_GROUPS = 32


def params_of(name: str, records: str = 'unused') -> cfg.ExperimentConfig:
  """An experiment, with its file, on small records; its model is reduced.

  The kinds of parts and their options, by which families differ, are kept.

  Args:
    name: name of a registered experiment, or of a file in experiments/.
    records: pattern of the records.
  """
  files = [path for path in FILES if path.stem == name]
  experiment = re.search(r'--experiment=(\w+)', files[0].read_text())[1] if files else name
  params = tiny_records.reduced(experiment, records)
  full = parsing.parse(experiment, [str(path) for path in files]).params
  params.task.model.override(full.task.model.as_dict())
  params.task.losses.override(full.task.losses.as_dict())
  params.trainer.override(full.trainer.as_dict())
  params.task.model.override(model_overrides(params.task.model))
  return params


def model_overrides(config: model_config.HTC) -> dict[str, Any]:
  """Overrides that reduce the model of an experiment; deep networks need `fewer_blocks`."""
  parts = tiny_records.model_overrides(config)
  backbone, decoder = config.backbone, config.decoder
  if backbone.type == 'published_resnet':
    parts['backbone'] = {'published_resnet': _reduced_resnet(backbone.published_resnet)}
  elif backbone.type == 'published_hrnet':
    parts['backbone'] = tiny.HRNET['backbone']
  elif backbone.type == 'published_swin':
    parts['backbone'] = tiny.COMPOSITE_SWIN
  if decoder.type == 'published_hrfpn':
    parts['decoder'] = tiny.HRNET['decoder']
  elif decoder.type == 'recursive_fpn':
    parts['decoder'] = {'recursive_fpn': {'num_filters': tiny.CHANNELS, 'aspp_filters': 2}}
  if config.box_head.num_convs:
    parts['box_head'] = {'num_convs': 1, 'conv_filters': 4, 'fc_dims': 16}
  if config.cascade.shared_mask:
    parts['mask_head'] = {**parts['mask_head'], 'num_convs': 2}
    parts['semantic_head'] = {**parts['semantic_head'], 'num_convs': 2}
    parts['global_context'] = {'num_convs': 2}
  return parts


def _reduced_resnet(resnet) -> dict[str, Any]:
  has_bottlenecks = (
    resnet.groups > 1
    or resnet.scales > 1
    or resnet.deformable_stages
    or resnet.switchable_stages
    or resnet.standardized
  )
  return {
    'model_id': 50 if has_bottlenecks else 18,
    'groups': min(resnet.groups, _MAX_GROUPS),
    'width_multiplier': 0.25 if resnet.groups > 1 else 0.125,
  }


@pytest.fixture(name='fewer_blocks')
def fewer_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
  """A ResNet-50 with one block in each stage."""
  monkeypatch.setitem(published_resnet.SPECS, 50, (True, (1, 1, 1, 1)))


def params_of_few_stages(name: str) -> cfg.ExperimentConfig:
  """A family's reduced configuration with one or two stages, which takes less time."""
  params = params_of(FAMILIES[name])
  cascade = params.task.model.cascade
  cascade.stages = cascade.stages[: 2 if name in _OF_STAGES else 1]
  return params


def build(name: str) -> tuple[cfg.ExperimentConfig, HTCModel]:
  """A family's reduced configuration and model, whose scores differ between classes."""
  params = params_of(FAMILIES[name])
  return params, tiny.build(params.task.model)
