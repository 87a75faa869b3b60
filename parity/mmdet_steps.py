"""Reference of a training step of each family, from reduced models of mmdetection 3.3.0.

It runs in an environment with mmdetection, not with TensorFlow:

  python -m parity.mmdet_steps --out=parity/extract mask_rcnn cascade_mask_rcnn

Images, ground truth and proposals are those of `extract/training_trajectory.npz`. Anchors and RoIs
are sampled at even distances, and the weights are those of `step_weights`. Each file holds the
losses, the shapes of all entries of the state, and norm and probe of the gradient of each trained
parameter.
"""

import argparse
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.models.task_modules.samplers import RandomSampler
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.structures import InstanceData, PixelData

from parity import mmdet_composite, mmdet_networks, step_weights

_INPUTS = pathlib.Path(__file__).parent / 'extract' / 'training_trajectory.npz'
_CHANNELS, _UNITS = 32, 64


class Sizes(NamedTuple):
  """Sizes of a reduced model, without its backbone.

  Attributes:
    channels: number of channels of the pyramid and of the heads.
    units: number of units of the layers of the box heads.
    num_convs: number of convolutions of the mask heads and of the semantic branch.
    num_classes: number of classes of things.
    num_semantic_classes: number of classes of the semantic map.
    num_rois: number of RoIs per image that each branch is trained on.
  """

  channels: int = _CHANNELS
  units: int = _UNITS
  num_convs: int = 2
  num_classes: int = 10
  num_semantic_classes: int = 12
  num_rois: int = 48


def use_resnet18(model: Any, base_channels: int = 16) -> None:
  """ResNet-18 with fewer channels than 64 in its stem, by default a quarter."""
  model.backbone.update(depth=18, base_channels=base_channels)
  model.neck.in_channels = [base_channels * 2**stage for stage in range(4)]


def _hrnet(model: Any) -> None:
  """HRNet with 8 channels, and one module a stage of one block a branch."""
  for number, settings in enumerate(model.backbone.extra.values(), 1):
    settings.update(num_modules=1, num_blocks=(1,) * number)
    if number > 1:
      settings.num_channels = tuple(8 * 2**branch for branch in range(number))
  model.neck.in_channels = [8, 16, 32, 64]


def _res2net(model: Any) -> None:
  """Res2Net-50 with a quarter of the channels."""
  model.backbone.update(depth=50, base_channels=16, base_width=6.5)
  model.neck.in_channels = [64, 128, 256, 512]


def _resnet50(model: Any) -> None:
  """ResNet-50 with an eighth of the channels, twice if there is a recursive pyramid."""
  model.backbone.base_channels = 8
  model.neck.in_channels = [32, 64, 128, 256]
  if model.neck.type == 'RFP':
    model.neck.aspp_out_channels = _CHANNELS // 4
    model.neck.rfp_backbone.update(base_channels=8, rfp_inplanes=_CHANNELS)


def _composite(model: Any) -> None:
  """CBNetV2's composite of two small Swin transformers."""
  sizes = {'depths': (2, 1, 1, 1), 'num_heads': (1, 2, 2, 4), 'window_size': 3, 'mlp_ratio': 2}
  mmdet_composite.use(model, 8, **sizes, drop_path_rate=0.0)


def _composite_with_conv_heads(model: Any) -> None:
  """The same with 4conv1fc heads; on one device, synchronized norms are plain ones."""
  _composite(model)
  for head in model.roi_head.bbox_head:
    head.update(
      type='ConvFCBBoxHead',
      num_shared_convs=2,
      num_shared_fcs=1,
      conv_out_channels=_CHANNELS,
      norm_cfg={'type': 'BN', 'requires_grad': True},
      reg_decoded_bbox=True,
    )
    head.loss_bbox = {'type': 'GIoULoss', 'loss_weight': 10.0}  # `update` would keep other keys.


def _group_norms(model: Any) -> None:
  """ResNet-18, and group norms in the pyramid, in 4conv1fc box heads and in mask heads."""
  use_resnet18(model)
  groups = {'norm_cfg': {'type': 'GN', 'num_groups': 8, 'requires_grad': True}}
  model.neck.update(groups)
  for head in model.roi_head.bbox_head:
    convs = {'num_shared_convs': 2, 'num_shared_fcs': 1, 'conv_out_channels': _CHANNELS}
    head.update(type='ConvFCBBoxHead', **convs, **groups)
  for head in model.roi_head.mask_head:
    head.update(groups)


FAMILIES: Mapping[str, tuple[str, Callable[[Any], None]]] = {
  'mask_rcnn': ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', use_resnet18),
  'cascade_mask_rcnn': ('cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco', use_resnet18),
  'scnet': ('scnet/scnet_r50_fpn_1x_coco', use_resnet18),
  'cbnetv2': ('htc/htc_r50_fpn_20e_coco', _composite),
  'cbnetv2_4conv1fc': ('htc/htc_r50_fpn_20e_coco', _composite_with_conv_heads),
  'group_norm': ('htc/htc_r50_fpn_1x_coco', _group_norms),
  'hrnet': ('hrnet/htc_hrnetv2p-w18_20e_coco', _hrnet),
  'res2net': ('res2net/htc_res2net-101_fpn_20e_coco', _res2net),
  'sac': ('detectors/htc_r50-sac_1x_coco', _resnet50),
  'rfp': ('detectors/htc_r50-rfp_1x_coco', _resnet50),
  'detectors': ('detectors/detectors_htc-r50_1x_coco', _resnet50),
}


def write_step(family: str, folder: str) -> None:
  """Compute the step of a family, and write `step_<family>.npz`."""
  model, arrays = build_model(family), dict(np.load(_INPUTS))
  losses, total = run_step(model, arrays)
  total.backward()
  trained = {
    mmdet_composite.published_name(name): mmdet_composite.to_published(name, p.grad.numpy())
    for name, p in model.named_parameters()
    if p.grad is not None
  }
  stored: dict[str, Any] = {
    **step_weights.shape_arrays(mmdet_networks.shapes(model)),
    'trained': np.array(list(trained)),
    'norms': np.array([np.linalg.norm(g.astype(np.float64)) for g in trained.values()]),
    'probes': np.array([step_weights.probe(name, g) for name, g in trained.items()]),
    **{f'loss/{name}': np.float64(value) for name, value in losses.items()},
  }
  np.savez_compressed(os.path.join(folder, f'step_{family}.npz'), **stored)
  print(family, {name: round(value, 5) for name, value in losses.items()}, len(trained), flush=True)


def build_model(family: str) -> Any:
  """The reduced model of a family in training mode, with the weights of `step_weights`."""
  register_all_modules(init_default_scope=True)
  config, reduce_backbone = FAMILIES[family]
  settings = mmdet_networks.configuration(config)
  reduce_heads(settings, Sizes())
  # Smaller than published, so that RoIs are pooled from all levels.
  for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
    settings.roi_head[name].finest_scale = 10
  reduce_backbone(settings)
  model = MODELS.build(settings)
  mmdet_networks.fill(model, step_weights.state_dict(mmdet_networks.shapes(model)))
  model.train()
  return model


def reduce_heads(model: Any, sizes: Sizes) -> None:
  """Fewer channels, classes, convolutions and RoIs in the configuration of a model."""
  reduced = {
    'in_channels': sizes.channels,
    'out_channels': sizes.channels,
    'conv_out_channels': sizes.channels,
    'fc_out_channels': sizes.units,
    'num_classes': sizes.num_classes,
    'num_convs': sizes.num_convs,
  }
  model.neck.out_channels = sizes.channels
  model.rpn_head.update(in_channels=sizes.channels, feat_channels=sizes.channels)
  heads = model.roi_head
  for part in heads.values():
    for settings in part if isinstance(part, list) else [part]:
      if isinstance(settings, dict):
        settings.update({key: value for key, value in reduced.items() if key in settings})
  if 'semantic_head' in heads:
    heads.semantic_head.num_classes = sizes.num_semantic_classes
  if 'feat_relay_head' in heads:
    heads.feat_relay_head.update(in_channels=sizes.units, out_conv_channels=sizes.channels)
  rcnn = model.train_cfg.rcnn
  for stage in rcnn if isinstance(rcnn, list) else [rcnn]:
    stage.sampler.num = sizes.num_rois


def run_step(model: Any, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, float], Any]:
  """Losses by name, with their sum as `total`, and the sum as a tensor.

  Args:
    model: model of `build_model`.
    arrays: images, ground truth and proposals.
  """
  RandomSampler.random_choice = choose_evenly
  model.rpn_head.predict_by_feat = lambda *maps, **options: list(_proposals(arrays))
  images = [arrays[f'image{i}_bgr'].transpose(2, 0, 1).copy() for i in range(2)]
  data = {
    'inputs': [torch.from_numpy(image) for image in images],
    'data_samples': [_sample(arrays, i) for i in range(2)],
  }
  batch = model.data_preprocessor(data, True)
  raw = _losses(model, batch)
  total, _ = model.parse_losses(raw)
  losses = {
    name: float(sum(v.sum() for v in (values if isinstance(values, list) else [values])))
    for name, values in raw.items()
    if 'loss' in name
  }
  return {**losses, 'total': float(total)}, total


def _losses(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
  """Losses of all kinds; those of an assisting backbone count half (Liang et al. 2021)."""
  inputs, samples = batch['inputs'], batch['data_samples']
  if not isinstance(model.backbone, mmdet_composite.CompositeSwin):
    return model.loss(inputs, samples)
  both = []
  for maps in model.backbone(inputs):
    pyramid = model.neck(maps)
    model.extract_feat = lambda _, pyramid=pyramid: pyramid
    both.append(model.loss(inputs, samples))
  assistant, lead = both
  halves = {
    f'assistant_{name}': [0.5 * v for v in value] if isinstance(value, list) else 0.5 * value
    for name, value in assistant.items()
  }
  return {**lead, **halves}


def choose_evenly(sampler: Any, gallery: Any, num: int) -> Any:
  """`num` entries of an ascending list at even distances."""
  return gallery[(torch.arange(num) * len(gallery)) // num]


def _proposals(arrays: Mapping[str, np.ndarray]) -> Iterator[Any]:
  for i in range(2):
    boxes = torch.from_numpy(arrays[f'proposals_image{i}'])
    scores = torch.from_numpy(arrays[f'proposal_scores_image{i}'])
    yield InstanceData(
      bboxes=boxes, scores=scores, labels=torch.zeros(len(boxes), dtype=torch.long)
    )


def _sample(arrays: Mapping[str, np.ndarray], i: int) -> Any:
  """Ground truth of image `i`."""
  hw = tuple(int(side) for side in arrays['image_sizes_hw'][i])
  sample = DetDataSample(
    metainfo={'img_id': i, 'img_shape': hw, 'ori_shape': hw, 'scale_factor': (1.0, 1.0)}
  )
  sample.gt_instances = InstanceData(
    bboxes=torch.from_numpy(arrays[f'gt_image{i}_boxes']),
    labels=torch.from_numpy(arrays[f'gt_image{i}_labels']).long(),
    masks=BitmapMasks(arrays[f'gt_image{i}_masks'], *hw),
  )
  semantic = arrays[f'gt_image{i}_semantic_padded'][:, : hw[0], : hw[1]]
  sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(semantic.copy()))
  return sample


def main() -> None:
  """Write the references of the families that the command line names."""
  parser = argparse.ArgumentParser(description='Compute training steps of reduced models.')
  parser.add_argument('families', nargs='*', default=list(FAMILIES), help='default: all')
  parser.add_argument('--out', default='parity/extract', help='folder of the files')
  args = parser.parse_args()
  torch.set_num_threads(1)
  for family in args.families:
    write_step(family, args.out)


if __name__ == '__main__':
  main()
