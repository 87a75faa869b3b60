"""The families around HTC that are compared with stored outputs of the original implementations."""

import types
from typing import Any

from parity.mmdet_image import Bars, Variant

# What mmdetection 3.3.0 returns, by the mask ensemble that gives the same.
_ONLY_MASKS = types.MappingProxyType({'mean': 'detections_masks_packed'})
_HTC_MASKS = types.MappingProxyType(
  {'mean': 'detections_masks_mean_packed', 'last': 'detections_masks_packed'}
)


def _without_semantic(config: str, experiment: str) -> Variant:
  """A model without information flow, whose masks are the mean of its stages."""
  return Variant(config, experiment, has_semantic=False, masks=_ONLY_MASKS, kind='zoo')


def _htc(config: str, decoder: str = 'published_fpn', **resnet: Any) -> Variant:
  """HTC with another ResNet or decoder.

  Args:
    config: name of the published configuration.
    decoder: type of the decoder.
    **resnet: overrides of the configuration of the ResNet.
  """
  overrides = {'backbone': {'published_resnet': resnet}, 'decoder': {'type': decoder}}
  return Variant(config, 'htc_resnet50fpn_1x_coco', overrides, masks=_HTC_MASKS, kind='zoo')


def _composite_swin(config: str, **box_head: Any) -> Variant:
  """CBNetV2's composite of two Swin-B.

  Args:
    config: name of the published configuration.
    **box_head: overrides of the configuration of the box heads.
  """
  backbone = {
    'embed_dim': 128,
    'depths': [2, 2, 18, 2],
    'num_heads': [4, 8, 16, 32],
    'composite': True,
  }
  overrides = {
    'backbone': {'type': 'published_swin', 'published_swin': backbone},
    'box_head': box_head,
    'detection_generator': {'nms': 'linear'},
  }
  return Variant(
    config,
    'htc_resnet50fpn_20e_coco',
    overrides,
    masks=_HTC_MASKS,
    kind='zoo',
    # The original amplifies noise of its input 34 times.
    bars=Bars(maps=5e-3, scores=5e-3),
    source='CBNetV2 under the heads of mmdetection 3.3.0',
  )


_SWITCHABLE: dict[str, Any] = {'standardized': True, 'switchable_stages': [2, 3, 4]}

_SCNET = {
  'cascade': {
    'interleaved': False,
    'mask_information_flow': False,
    'shared_mask': True,
    'feature_relay': True,
  },
  'mask_head': {'num_convs': 12, 'residual': True},
  'semantic_head': {'residual': True},
  'global_context': {'enabled': True},
}

VARIANTS = (
  _without_semantic('mask-rcnn_r50_fpn_1x_coco', 'mask_rcnn_resnet50fpn_1x_coco'),
  _without_semantic('cascade-mask-rcnn_r50_fpn_1x_coco', 'cascade_mask_rcnn_resnet50fpn_1x_coco'),
  Variant(
    'htc_hrnetv2p-w18_20e_coco',
    'htc_resnet50fpn_20e_coco',
    {
      'backbone': {'type': 'published_hrnet', 'published_hrnet': {'width': 18}},
      'decoder': {'type': 'published_hrfpn'},
    },
    masks=_HTC_MASKS,
    kind='zoo',
  ),
  _htc(
    'htc_res2net-101_fpn_20e_coco',
    model_id=101,
    base_width=26,
    scales=4,
    deep_stem=True,
    avg_down=True,
  ),
  _htc('htc_r50-sac_1x_coco', **_SWITCHABLE),
  _htc('htc_r50-rfp_1x_coco', 'recursive_fpn', standardized=True),
  _htc('detectors_htc-r50_1x_coco', 'recursive_fpn', **_SWITCHABLE),
  Variant(
    'scnet_r50_fpn_1x_coco', 'htc_resnet50fpn_1x_coco', _SCNET, masks=_ONLY_MASKS, kind='zoo'
  ),
  _composite_swin('htc_cbv2_swin_base'),
  _composite_swin('htc_cbv2_swin_base_4conv1f', num_convs=4, num_fcs=1),
)
