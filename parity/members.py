"""The larger networks of the families around HTC, as the experiment files configure them."""

import functools
from typing import Any

from htc_tf import registry_imports  # noqa: F401  Registers the experiments.
from htc_tf.configs import parsing
from htc_tf.convert.published_files import PublishedFile, published_files
from parity.mmdet_image import Variant

_RESNETS = ('resnet101fpn_1x', 'resnext101_32x4d_fpn_1x', 'resnext101_64x4d_fpn_1x')
# Networks by the mask ensemble that mmdetection 3.3.0 returns for them.
_MODELS = {
  'mean': (
    *(f'mask_rcnn_{name}_coco' for name in (*_RESNETS, 'resnext101_32x8d_fpn_1x')),
    *(f'cascade_mask_rcnn_{name}_coco' for name in (*_RESNETS, 'resnext101_32x8d_fpn_3x')),
    'scnet_resnet101_fpn_20e_coco',
    'scnet_resnext101_64x4d_fpn_20e_coco',
  ),
  'last': (
    'htc_hrnetv2p_w32_20e_coco',
    'htc_hrnetv2p_w40_20e_coco',
    'detectors_htc_resnet101_20e_coco',
    'htc_cbnetv2_swin_large_4conv1fc_coco',
  ),
}
# mmdetection has no such network; `mmdet_members` puts it together.
_SWIN: dict[str, Any] = {
  'config': 'htc_cbv2_swin_large_4conv1f',
  'source': "CBNetV2's composite of Swin transformers of mmdetection 3.3.0",
}


@functools.cache
def variants() -> tuple[Variant, ...]:
  """The networks, each with the whole configuration of its model."""
  published = {known.model: known for known in published_files() if not known.refused}
  return tuple(
    _variant(published[model], ensemble) for ensemble, models in _MODELS.items() for model in models
  )


def _variant(known: PublishedFile, ensemble: str) -> Variant:
  model = parsing.parse(known.experiment, known.config_paths).params.task.model
  settings = {
    'config': known.config,
    'overrides': model.as_dict(),
    'has_semantic': model.semantic_head.enabled,
    'masks': {ensemble: 'detections_masks_packed'},
    'sha256': known.hash,
  }
  if known.source == 'CBNetV2':
    settings |= _SWIN
  return Variant(experiment=known.experiment, kind='member', **settings)
