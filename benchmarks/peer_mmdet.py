"""The benchmark rows of mmdetection: one function per group, which makes the rows for a size.

This module runs in the Python environment that has mmdet and mmcv. The model is built from the
published configuration of mmdetection; the weights are those of htc_tf's side.
"""

import json
import pathlib
import sys
import tempfile
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import scene
from benchmarks.measuring import Measure

_NUM_EVALUATED = 50
_NUM_READ = 64


def convolution(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """The 3x3 convolution of torch on a map of the size of P2."""
  import torch

  height, width = (side // scene.STRIDES[0] for side in sizes.padded)
  conv = torch.nn.Conv2d(scene.CHANNELS, scene.CHANNELS, 3, padding=1, bias=False)
  maps = torch.randn(1, scene.CHANNELS, height, width)
  return {'convolution': Measure(_without_gradient(conv, maps))}


def inference(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Inference from the network input to masks of the size of the original image."""
  model, images, samples = _model(), _images(sizes), _samples(sizes)
  return {
    'inference': Measure(
      _without_gradient(
        lambda: model(images, [sample.clone() for sample in samples], mode='predict')
      )
    )
  }


def precisions(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """The same inference in float32, for the rows of other precisions."""
  measure = inference(sizes)['inference']
  return {'inference_bfloat16': measure, 'inference_bfloat16_features': measure}


def parts(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """The parts of inference, each on the outputs of the previous parts."""
  from mmdet.structures.bbox import bbox2roi

  model, images, samples = _model(), _images(sizes), _samples(sizes)
  head, metas = model.roi_head, [samples[0].metainfo]
  runs: dict[str, Callable[[], Any]] = {}

  def part(name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    runs[name] = _without_gradient(function, *arguments, **options)
    return runs[name]()

  maps = part('backbone', model.backbone, images)
  pyramid = part('fpn', model.neck, maps)
  _, semantic = part('semantic', head.semantic_head, pyramid)
  proposals = part('rpn', model.rpn_head.predict, pyramid, samples, rescale=False)
  rois = bbox2roi([image.bboxes for image in proposals])
  rois, scores, deltas = part(
    'box_stages', head._refine_roi, pyramid, rois, metas, (len(rois),), semantic_feat=semantic
  )

  def select():
    return head.bbox_head[-1].predict_by_feat(
      rois=rois,
      cls_scores=scores,
      bbox_preds=deltas,
      batch_img_metas=metas,
      rescale=False,
      rcnn_test_cfg=head.test_cfg,
    )

  (found,) = part('nms', select)
  masks = part(
    'mask_stages',
    head._mask_forward,
    -1,
    pyramid,
    bbox2roi([found.bboxes]),
    semantic_feat=semantic,
    training=False,
  )['mask_preds'][-1].sigmoid()
  print(f'peer: {len(proposals[0])} proposals, {len(found)} detections', file=sys.stderr)
  part(
    'paste',
    lambda: head.mask_head[-1].predict_by_feat(
      mask_preds=[masks],
      results_list=[found.clone()],
      batch_img_metas=metas,
      rcnn_test_cfg=head.test_cfg,
      rescale=True,
      activate_map=True,
    ),
  )
  return {name: Measure(run) for name, run in runs.items()}


def training(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """A step of SGD with momentum on one image with eight objects."""
  import torch
  from mmdet.structures.mask import BitmapMasks
  from mmengine.structures import InstanceData, PixelData

  model, images = _model().train(), _images(sizes)
  ground_truth = scene.ground_truth(sizes)
  trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
  optimizer = torch.optim.SGD(trained, lr=1e-5, momentum=0.9, weight_decay=1e-4)

  def run():
    samples = _samples(sizes)
    samples[0].gt_instances = InstanceData(
      bboxes=torch.from_numpy(ground_truth.boxes[:, [1, 0, 3, 2]]),
      labels=torch.from_numpy(ground_truth.labels),
      masks=BitmapMasks(ground_truth.masks, *sizes.padded),
    )
    samples[0].gt_sem_seg = PixelData(sem_seg=torch.from_numpy(ground_truth.semantic[np.newaxis]))
    total, _ = model.parse_losses(model(images, samples, mode='loss'))
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return float(total.detach())

  return {'training_step': Measure(run)}


def roi_align(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """RoIAlign of 1000 RoIs into 7x7 bins on random maps: forward, and forward with backward."""
  import torch
  from mmdet.registry import MODELS
  from mmdet.utils import register_all_modules

  register_all_modules(init_default_scope=True)
  align = MODELS.build(
    {
      'type': 'SingleRoIExtractor',
      'out_channels': scene.CHANNELS,
      'featmap_strides': list(scene.STRIDES),
      'roi_layer': {'type': 'RoIAlign', 'output_size': 7, 'sampling_ratio': 0},
    }
  )
  maps = [
    torch.from_numpy(values).permute(0, 3, 1, 2).contiguous() for values in scene.pyramid(sizes)
  ]
  corners = torch.from_numpy(scene.boxes(sizes, scene.NUM_ROIS)[:, [1, 0, 3, 2]])
  rois = torch.cat([torch.zeros(len(corners), 1), corners], 1)
  watched = [values.clone().requires_grad_() for values in maps]
  upstream = torch.randn(len(rois), scene.CHANNELS, 7, 7)
  return {
    'roi_align': Measure(_without_gradient(align, maps, rois)),
    'roi_align_gradient': Measure(
      lambda: torch.autograd.grad(align(watched, rois), watched, upstream)
    ),
  }


def evaluation(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Run-length encoding of the masks of an image, and evaluation of detections."""
  from mmdet.evaluation.metrics import CocoMetric
  from mmdet.structures.mask import encode_mask_results
  from mmdet.utils import register_all_modules

  register_all_modules(init_default_scope=True)
  paste = _paster(sizes)
  images = [scene.detections(sizes, image) for image in range(1, _NUM_EVALUATED + 1)]
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'annotations.json'
    path.write_text(json.dumps(scene.annotations(sizes, _NUM_EVALUATED)), encoding='utf-8')
    metric = CocoMetric(str(path), metric=['bbox', 'segm'])
  metric.dataset_meta = {'classes': [f'class {label}' for label in range(scene.NUM_CLASSES)]}

  def evaluate():
    for image, found in enumerate(images, start=1):
      metric.process(
        {}, [{'img_id': image, 'ori_shape': sizes.original, 'pred_instances': paste(found)}]
      )
    figures = metric.compute_metrics(metric.results)
    metric.results.clear()
    return figures

  first = scene.detections(sizes, 0)
  return {
    'paste_and_encode': Measure(lambda: encode_mask_results(paste(first)['masks'].numpy())),
    'evaluation': Measure(evaluate, _NUM_EVALUATED),
  }


def input_pipeline(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Training batches of one image from image files, including the start of the loader."""
  import torch
  from mmdet.datasets import CocoDataset
  from mmdet.registry import MODELS
  from mmdet.utils import register_all_modules
  from mmengine.dataset import pseudo_collate

  from benchmarks import images

  register_all_modules(init_default_scope=True)
  written = images.write(sizes, _NUM_READ)
  config = _config()
  pipeline = [dict(step) for step in config.train_pipeline]
  for step in pipeline:
    if step['type'] == 'Resize':
      step['scale'] = sizes.image[::-1]
  data = CocoDataset(
    ann_file=str(written.annotations),
    pipeline=pipeline,
    data_prefix={'img': str(written.images), 'seg': str(written.stuff)},
    metainfo={'classes': [f'class {label}' for label in range(scene.NUM_CLASSES)]},
  )
  prepare = MODELS.build(config.model.data_preprocessor)

  def run():
    loader = torch.utils.data.DataLoader(
      data, num_workers=torch.get_num_threads(), shuffle=True, collate_fn=pseudo_collate
    )
    for batch in loader:
      prepare(batch, training=True)

  return {'input_pipeline': Measure(run, _NUM_READ)}


GROUPS = {
  group.__name__: group
  for group in (
    convolution,
    inference,
    precisions,
    parts,
    training,
    roi_align,
    input_pipeline,
    evaluation,
  )
}


def _config():
  """The published configuration of mmdetection."""
  import mmdet
  from mmengine.config import Config

  folder = pathlib.Path(mmdet.__file__).parent / '.mim' / 'configs' / 'htc'
  return Config.fromfile(str(folder / f'{scene.CONFIG}.py'))


def _model():
  """The model of mmdetection in evaluation mode."""
  import torch
  from mmdet.registry import MODELS
  from mmdet.utils import register_all_modules

  register_all_modules(init_default_scope=True)
  config = _config().model
  config.backbone.init_cfg = None  # Otherwise weights would be downloaded.
  model = MODELS.build(config)
  model.load_state_dict(
    {name: torch.from_numpy(np.asarray(values)) for name, values in scene.Weights().items()}
  )
  return model.eval()


def _images(sizes: scene.SceneSizes):
  """The network input [1, 3, height, width]; both models take normalized RGB."""
  import torch

  return torch.from_numpy(scene.network_input(sizes).transpose(2, 0, 1)[np.newaxis].copy())


def _samples(sizes: scene.SceneSizes) -> list[Any]:
  from mmdet.structures import DetDataSample

  return [DetDataSample(metainfo=_meta(sizes))]


def _meta(sizes: scene.SceneSizes) -> dict[str, Any]:
  scale = tuple(new / old for new, old in zip(sizes.image[::-1], sizes.original[::-1]))
  return {
    'img_shape': sizes.image,
    'pad_shape': sizes.padded,
    'batch_input_shape': sizes.padded,
    'ori_shape': sizes.original,
    'scale_factor': scale,
  }


def _paster(sizes: scene.SceneSizes) -> Callable[[scene.Detected], dict[str, Any]]:
  """A function from detections to the input of mmdetection's metric, pasted by its mask head."""
  import torch
  from mmdet.registry import MODELS
  from mmengine.structures import InstanceData

  head = MODELS.build({'type': 'FCNMaskHead', 'class_agnostic': True})
  config = types.SimpleNamespace(mask_thr_binary=0.5)

  def paste(found: scene.Detected) -> dict[str, Any]:
    instances = InstanceData(
      bboxes=torch.from_numpy(found.boxes[:, [1, 0, 3, 2]].copy()),
      scores=torch.from_numpy(found.scores.copy()),
      labels=torch.from_numpy(found.labels),
    )
    (pasted,) = head.predict_by_feat(
      [torch.from_numpy(found.masks[:, np.newaxis])],
      [instances],
      [_meta(sizes)],
      config,
      rescale=True,
      activate_map=True,
    )
    return {key: pasted[key] for key in ('bboxes', 'scores', 'labels', 'masks')}

  return paste


def _without_gradient(
  function: Callable[..., Any], *arguments: Any, **options: Any
) -> Callable[[], Any]:
  import torch

  def run():
    with torch.no_grad():
      return function(*arguments, **options)

  return run
