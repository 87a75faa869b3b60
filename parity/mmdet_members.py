"""References of the larger networks of the families around HTC, from mmdetection 3.3.0.

It runs in an environment with mmdetection, not with TensorFlow:

  python -m parity.mmdet_members --out=parity/member_extract scnet_r101_fpn_20e_coco

Each network detects on the image of the families around HTC, with the weights of `member_weights`.
A file holds the shapes of the weights, the mean square of what each norm reads, every eighth
channel of maps, every eighth pixel of the input, proposals, and detections with masks.
"""

import argparse
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from torch.nn.modules.batchnorm import _BatchNorm

from parity import member_weights, mmdet_composite, mmdet_networks, step_weights

_IMAGE = pathlib.Path(__file__).parent / 'zoo_extract' / f'{member_weights.IMAGE}.npz'
_THIN = member_weights.THINNING
_SOFT_NMS = {'type': 'soft_nms', 'method': 'linear', 'iou_threshold': 0.5, 'min_score': 1e-3}


def _published(model: Any) -> None:
  """The network as mmdetection configures it."""


def _composite_swin_large(model: Any) -> None:
  """CBNetV2's composite of two Swin-L, with 4conv1fc box heads."""
  mmdet_composite.use(model, 192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48))
  for head in model.roi_head.bbox_head:
    head.update(
      type='ConvFCBBoxHead', num_shared_convs=4, num_shared_fcs=1, norm_cfg={'type': 'BN'}
    )
  model.test_cfg.rcnn.update(nms=_SOFT_NMS, score_thr=1e-3)


MEMBERS: Mapping[str, tuple[str, Callable[[Any], None]]] = {
  **{
    f'mask-rcnn_{name}_fpn_1x_coco': ('mask_rcnn', _published)
    for name in ('r101', 'x101-32x4d', 'x101-64x4d', 'x101-32x8d')
  },
  **{
    f'cascade-mask-rcnn_{name}_coco': ('cascade_rcnn', _published)
    for name in ('r101_fpn_1x', 'x101-32x4d_fpn_1x', 'x101-64x4d_fpn_1x', 'x101-32x8d_fpn_ms-3x')
  },
  **{f'htc_hrnetv2p-{width}_20e_coco': ('hrnet', _published) for width in ('w32', 'w40')},
  **{f'scnet_{name}_fpn_20e_coco': ('scnet', _published) for name in ('r101', 'x101-64x4d')},
  'detectors_htc-r101_20e_coco': ('detectors', _published),
  'htc_cbv2_swin_large_4conv1f': ('htc/htc_r50_fpn_1x_coco', _composite_swin_large),
}


def write_member(config: str, folder: str) -> None:
  """Detect with a network, and write `<config>.npz`.

  Args:
    config: key of `MEMBERS`.
    folder: folder of the file.
  """
  image = dict(np.load(_IMAGE))
  model = _build(config)
  shapes = mmdet_networks.shapes(model)
  mmdet_networks.fill(model, member_weights.state_dict(shapes, {}))
  squares = _measured_norms(model, image)
  stored: dict[str, Any] = {
    **step_weights.shape_arrays(shapes),
    'mean_squares': np.array(
      [squares[name] for name in member_weights.norm_names(list(shapes))], np.float32
    ),
    **_outputs(model, image),
  }
  np.savez_compressed(os.path.join(folder, f'{config}.npz'), **stored)
  scores = stored['detections_scores']
  print(config, len(shapes), len(squares), len(scores), scores[:3], scores[-1:], flush=True)


def _build(config: str) -> Any:
  """The network in inference mode, with the weights that its layers begin with."""
  place, change = MEMBERS[config]
  settings = mmdet_networks.configuration(place if '/' in place else f'{place}/{config}')
  change(settings)
  model = MODELS.build(settings).eval()
  if isinstance(model.backbone, mmdet_composite.CompositeSwin):
    # The heads read the maps of the leading transformer.
    model.backbone.register_forward_hook(lambda _, __, maps: maps[1])
  return model


def _measured_norms(model: Any, image: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Mean square of what each norm reads; each gets its statistics before it computes."""
  squares: dict[str, float] = {}

  def measure(name: str) -> Callable[[Any, Any], None]:
    def before(norm: Any, inputs: Any) -> None:
      if name in squares or not inputs[0].numel():
        return
      squares[name] = float(np.float32(inputs[0].double().square().mean().item()))
      for entry in ('running_mean', 'running_var'):
        buffer = getattr(norm, entry)
        values = member_weights.statistic(name, entry, tuple(buffer.shape), squares[name])
        buffer.copy_(torch.from_numpy(values))

    return before

  norms = [(name, part) for name, part in model.named_modules() if isinstance(part, _BatchNorm)]
  hooks = [norm.register_forward_pre_hook(measure(name)) for name, norm in norms]
  _detect(model, image)
  for hook in hooks:
    hook.remove()
  return squares


def _outputs(model: Any, image: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """What is compared, by key."""
  taken: dict[str, Any] = {}

  def take(part: Any, key: str) -> Any:
    return part.register_forward_hook(lambda _, __, out: taken.update({key: out}))

  hooks = [take(model.backbone, 'backbone'), take(model.neck, 'pyramid')]
  has_semantic = getattr(model.roi_head, 'semantic_head', None) is not None
  if has_semantic:
    hooks.append(take(model.roi_head.semantic_head, 'semantic'))
  predict = model.rpn_head.predict

  def propose(*args: Any, **options: Any) -> Any:
    taken['proposals'] = predict(*args, **options)
    return taken['proposals']

  model.rpn_head.predict = propose
  images, found = _detect(model, image)
  for hook in hooks:
    hook.remove()
  c2, c3, c4, c5 = taken['backbone'][-4:]  # A backbone may return the image, too.
  p2, p3, p4, p5, p6 = taken['pyramid']
  outputs = {
    f'input_every{_THIN}th': images[0, :, ::_THIN, ::_THIN].numpy(),
    **{f'{key}_every4th': _thin(m, 4) for key, m in zip(('C2', 'C3', 'C4'), (c2, c3, c4))},
    'C5_every2nd': _thin(c5, 2),
    **{f'{key}_every4th': _thin(m, 4) for key, m in zip(('P2', 'P3', 'P4'), (p2, p3, p4))},
    'P5': _thin(p5, 1),
    'P6': _thin(p6, 1),
    'proposals': taken['proposals'][0].bboxes.numpy(),
    'detections_boxes': found.bboxes.numpy(),
    'detections_scores': found.scores.numpy(),
    'detections_labels': found.labels.numpy(),
    'detections_masks_shape': np.array(found.masks.shape),
    'detections_masks_packed': np.packbits(found.masks.numpy(), axis=-1),
  }
  if has_semantic:
    logits, feature = taken['semantic']
    outputs['semantic_logits_every4th'] = _thin(logits, 4)
    outputs['semantic_feature_every4th'] = _thin(feature, 4)
  return outputs


def _thin(maps: torch.Tensor, step: int) -> np.ndarray:
  """Some channels and positions of the first image."""
  return maps[0, ::_THIN, ::step, ::step].numpy()


def _detect(model: Any, image: Mapping[str, np.ndarray]) -> tuple[torch.Tensor, Any]:
  """The input [1, 3, height, width] with channels RGB, and the detections.

  The boxes are in pixels of the input, and the masks in those of the original image.
  """
  pixels = image['image_bgr']
  scale = image['scale_factor_wh']
  sample = DetDataSample(
    metainfo={
      'img_id': 0,
      'img_shape': pixels.shape[:2],
      'ori_shape': tuple(int(side) for side in image['detections_masks_shape'][1:]),
      'scale_factor': tuple(scale),
    }
  )
  data = {
    'inputs': [torch.from_numpy(pixels.transpose(2, 0, 1).copy())],
    'data_samples': [sample],
  }
  batch = model.data_preprocessor(data, False)
  with torch.no_grad():
    result = model.predict(batch['inputs'], batch['data_samples'], rescale=True)[0]
  found = result.pred_instances
  found.bboxes = found.bboxes * torch.from_numpy(np.tile(scale, 2)).to(found.bboxes)
  is_rgb = model.data_preprocessor._channel_conversion
  return batch['inputs'] if is_rgb else batch['inputs'].flip(1), found


def main() -> None:
  """Write the references of the networks that the command line names."""
  parser = argparse.ArgumentParser(description='Detect with larger networks of mmdetection.')
  parser.add_argument('configs', nargs='*', default=list(MEMBERS), help='default: all')
  parser.add_argument('--out', default='parity/member_extract', help='folder of the files')
  args = parser.parse_args()
  torch.set_num_threads(1)
  register_all_modules(init_default_scope=True)
  for config in args.configs:
    write_member(config, args.out)


if __name__ == '__main__':
  main()
