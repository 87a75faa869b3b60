"""The side of mmdetection: `python -m benchmarks.beside_original.original IMPORT JOB FOLDER ...`.

The jobs are those of `ours`. `jobs` starts them in the environment of mmdetection 3.3.0, after the
import of a module unless IMPORT is empty. The model is that of the published configuration,
reduced.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.beside_original import recipe as recipe_lib
from parity import loss_names

_CONFIG = 'htc/htc_r50_fpn_1x_coco'
_LOADED: list[dict[str, Any]] = [
  {'type': 'LoadImageFromFile'},
  {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True, 'with_seg': True},
  {'type': 'PackDetInputs'},
]
_META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')


def build_model(recipe: recipe_lib.Recipe, weights: str) -> Any:
  """The reduced model of the published configuration, in training mode.

  Args:
    recipe: the recipe.
    weights: file with its weights.
  """
  import mmdet
  import torch
  from mmdet.registry import MODELS
  from mmdet.utils import register_all_modules
  from mmengine.config import Config

  from parity import mmdet_steps

  register_all_modules(init_default_scope=True)
  folder = os.path.join(os.path.dirname(mmdet.__file__), '.mim', 'configs')
  settings = Config.fromfile(os.path.join(folder, f'{_CONFIG}.py')).model
  mmdet_steps.reduce_heads(
    settings,
    mmdet_steps.Sizes(
      channels=recipe.channels,
      units=recipe.units,
      num_convs=recipe.num_convs,
      num_classes=recipe.num_classes,
      num_semantic_classes=recipe.num_semantic_classes,
      num_rois=recipe.num_rois,
    ),
  )
  mmdet_steps.use_resnet18(settings, recipe.base_channels)
  # The norms are trained, because the model starts from random weights.
  settings.backbone.update(frozen_stages=-1, norm_eval=False, init_cfg=None)
  for stage in (settings.train_cfg.rpn_proposal, settings.test_cfg.rpn):
    stage.update(nms_pre=recipe.num_proposals, max_per_img=recipe.num_proposals)
  model = MODELS.build(settings)
  state = {k: torch.from_numpy(v) for k, v in recipe_lib.read_arrays(weights).items()}
  missing, unexpected = model.load_state_dict(state, strict=False)
  left = [name for name in missing if not name.endswith('.num_batches_tracked')]
  if left or unexpected:
    raise ValueError(f'The weights do not fit: {left} missing, {unexpected} unexpected')
  return model.train()


class Pictures:
  """The pictures of a split by id, read by the pipeline of mmdetection.

  Args:
    scenes: folder of the pictures.
    split: 'train' or 'val'.
    pipeline: configuration of the pipeline.
  """

  def __init__(self, scenes: str, split: str, pipeline: Sequence[Mapping[str, Any]]):
    import json

    from mmdet.datasets import CocoDataset

    path = os.path.join(scenes, f'{split}.json')
    with open(path, encoding='utf-8') as file:
      categories = json.load(file)['categories']
    self.category_ids = [category['id'] for category in categories]
    self._data = CocoDataset(
      ann_file=path,
      data_prefix={
        'img': os.path.join(scenes, split),
        'seg': os.path.join(scenes, f'{split}_stuff'),
      },
      metainfo={'classes': [category['name'] for category in categories]},
      pipeline=list(pipeline),
      test_mode=split != 'train',
    )
    indices = range(len(self._data))
    self._indices = {self._data.get_data_info(i)['img_id']: i for i in indices}

  @property
  def image_ids(self) -> list[int]:
    """Ids of all pictures."""
    return list(self._indices)

  def batch(self, model: Any, image_ids: Sequence[int], training: bool) -> dict[str, Any]:
    """Network input and samples of the given pictures, in this order."""
    from mmengine.dataset import pseudo_collate

    read = [self._data[self._indices[image_id]] for image_id in image_ids]
    return model.data_preprocessor(pseudo_collate(read), training)


class _Trainer:
  """The model of mmdetection with SGD of PyTorch, as its published configurations have it."""

  def __init__(self, plan: recipe_lib.Plan, folder: str):
    import torch

    recipe = plan.recipe
    torch.manual_seed(recipe.sampling_seed)
    self.model = build_model(recipe, os.path.join(folder, recipe_lib.INITIAL))
    self.rates = recipe_lib.rates(recipe)
    self._trained = [values for values in self.model.parameters() if values.requires_grad]
    self._clip_norm = recipe.clip_norm
    self._optimizer = torch.optim.SGD(
      self._trained, lr=1.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )

  def step(self, number: int, batch: Mapping[str, Any]) -> dict[str, float]:
    """Losses before the update of the model, by our names; see `loss_names.LOSSES`.

    Args:
      number: number of steps before this one.
      batch: network input and samples.
    """
    import torch

    raw = self.model.loss(batch['inputs'], batch['data_samples'])
    total, _ = self.model.parse_losses(raw)
    for group in self._optimizer.param_groups:
      group['lr'] = float(self.rates[number])
    self._optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(self._trained, self._clip_norm)
    self._optimizer.step()
    terms = {name: _sum(raw[published]) for name, published in loss_names.LOSSES.items()}
    return {loss_names.TOTAL: float(total.detach()), **terms}

  def weights(self) -> dict[str, np.ndarray]:
    """The weights by name."""
    return {
      name: values.numpy().copy()
      for name, values in self.model.state_dict().items()
      if not name.endswith('.num_batches_tracked')
    }


def _sum(values: Any) -> float:
  """A loss, which may have a part for each level."""
  parts = values if isinstance(values, list) else [values]
  return float(sum(part.detach().sum() for part in parts))


def first_steps(folder: str) -> None:
  """Write inputs, proposals, losses and weights of the first steps, which use our proposals."""
  import torch
  from mmdet.models.task_modules.samplers import RandomSampler
  from mmengine.structures import InstanceData

  from parity import mmdet_steps

  plan = recipe_lib.read_plan(folder)
  plan = plan._replace(recipe=recipe_lib.of_first_steps(plan.recipe))
  given = recipe_lib.read_arrays(os.path.join(folder, recipe_lib.OURS, recipe_lib.FIRST_STEPS))
  trainer = _Trainer(plan, folder)
  pictures = Pictures(plan.scenes, 'train', _LOADED)
  RandomSampler.random_choice = mmdet_steps.choose_evenly
  own_proposals = trainer.model.rpn_head.predict_by_feat
  arrays: dict[str, Any] = {'rates': trainer.rates}

  for number, image_ids in enumerate(plan.order[: recipe_lib.NUM_FIRST_STEPS]):

    def proposals(*maps: Any, number: int = number, **options: Any) -> list[Any]:
      found = []
      for image, own in enumerate(own_proposals(*maps, **options)):
        key = f'{number}/{image}'
        arrays[f'proposals/{key}'] = own.bboxes.numpy()
        boxes = torch.from_numpy(given[f'proposals/{key}'])
        scores = torch.from_numpy(given[f'proposal_scores/{key}'])
        labels = torch.zeros(len(boxes), dtype=torch.long)
        found.append(InstanceData(bboxes=boxes, scores=scores, labels=labels))
      return found

    trainer.model.rpn_head.predict_by_feat = proposals
    batch = pictures.batch(trainer.model, image_ids, True)
    if number == 0:
      arrays.update(_inputs(batch))
    losses = trainer.step(number, batch)
    arrays.update({f'loss/{number}/{name}': value for name, value in losses.items()})
  arrays.update({f'weights/{name}': values for name, values in trainer.weights().items()})
  recipe_lib.write_arrays(os.path.join(folder, recipe_lib.ORIGINAL, recipe_lib.FIRST_STEPS), arrays)


def _inputs(batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Network input and ground truth, with the keys of our side."""
  samples = batch['data_samples']
  arrays = {
    'input/images': batch['inputs'].numpy(),
    'input/semantic': np.concatenate([s.gt_sem_seg.sem_seg.numpy() for s in samples]),
  }
  for image, sample in enumerate(samples):
    arrays[f'input/labels/{image}'] = sample.gt_instances.labels.numpy()
    boxes = sample.gt_instances.bboxes
    arrays[f'input/boxes/{image}'] = getattr(boxes, 'tensor', boxes).numpy()
    arrays[f'input/masks/{image}'] = sample.gt_instances.masks.masks
  return arrays


def train(folder: str) -> None:
  """Train from the initial weights, and write losses and final weights."""
  plan = recipe_lib.read_plan(folder)
  trainer = _Trainer(plan, folder)
  pictures = Pictures(plan.scenes, 'train', _LOADED)
  curves: dict[str, list[float]] = {n: [] for n in (loss_names.TOTAL, *loss_names.LOSSES)}
  begin = time.monotonic()
  for number, image_ids in enumerate(plan.order):
    losses = trainer.step(number, pictures.batch(trainer.model, image_ids, True))
    for name, curve in curves.items():
      curve.append(losses[name])
    if (number + 1) % recipe_lib.REPORT_STEPS == 0:
      seconds = time.monotonic() - begin
      print(recipe_lib.progress(number + 1, plan.recipe, curves, seconds), flush=True)
  out = os.path.join(folder, recipe_lib.ORIGINAL)
  recipe_lib.write_arrays(os.path.join(out, recipe_lib.FINAL), trainer.weights())
  content = {'seconds': time.monotonic() - begin, 'losses': curves}
  recipe_lib.write_json(os.path.join(out, recipe_lib.LOSSES_FILE), content)


def detect(folder: str, weights: str, detections: str) -> None:
  """Write the detections of the model on the validation pictures.

  Args:
    folder: folder of the seed.
    weights: file with weights.
    detections: file of COCO results, which is written.
  """
  import torch

  plan = recipe_lib.read_plan(folder)
  model = build_model(plan.recipe, weights).eval()
  side = plan.recipe.side
  pipeline: list[dict[str, Any]] = [
    {'type': 'LoadImageFromFile'},
    {'type': 'Resize', 'scale': (side, side), 'keep_ratio': True},  # It notes a scale of 1.
    {'type': 'PackDetInputs', 'meta_keys': _META_KEYS},
  ]
  pictures = Pictures(plan.scenes, 'val', pipeline)
  results: list[dict[str, Any]] = []
  for image_id in pictures.image_ids:
    with torch.no_grad():
      batch = pictures.batch(model, [image_id], False)
      (sample,) = model.predict(batch['inputs'], batch['data_samples'])
    results += _coco_results(image_id, sample.pred_instances, pictures.category_ids)
  recipe_lib.write_json(detections, results)


def _coco_results(image_id: int, found: Any, category_ids: Sequence[int]) -> list[dict[str, Any]]:
  """COCO results of the instances of a picture."""
  from mmdet.structures.mask import encode_mask_results

  results = []
  rles = encode_mask_results(found.masks.numpy())
  for box, score, label, rle in zip(found.bboxes, found.scores, found.labels, rles):
    left, top, right, bottom = box.tolist()
    results.append(
      {
        'image_id': image_id,
        'category_id': category_ids[int(label)],
        'bbox': [left, top, right - left, bottom - top],
        'score': float(score),
        'segmentation': {'size': list(rle['size']), 'counts': rle['counts'].decode('ascii')},
      }
    )
  return results


JOBS: dict[str, Callable[..., None]] = {job.__name__: job for job in (first_steps, train, detect)}

if __name__ == '__main__':
  first_import, name, *arguments = sys.argv[1:]
  if first_import:
    importlib.import_module(first_import)
  JOBS[name](*arguments)
