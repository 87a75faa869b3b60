"""Comparison of a training step of each family with a stored step of a reduced model.

`mmdet_steps` makes the references. Both take the images, the ground truth and the proposals of the
reference of 20 steps, and sample at even distances.
"""

import copy
import os
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from official.core import exp_factory

from htc_tf.configs import experiments  # noqa: F401  Registers the experiments.
from htc_tf.configs import task as task_config
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.conversion import convert_checkpoint
from htc_tf.convert.mmdet_names import find_mmdet_map
from htc_tf.modeling.factory import build_htc
from parity import step_weights, training, training_gradients
from parity.check import Check, at_most
from parity.training_step import make_step

INPUTS = 'training_trajectory.npz'
_NUM_ROIS = 48
_RESNET18 = {'published_resnet': {'model_id': 18, 'width_multiplier': 0.25}}
_REDUCED: Mapping[str, Any] = {
  'num_classes': 11,
  'backbone': _RESNET18,
  'decoder': {'published_fpn': {'num_filters': 32}},
  'rpn_head': {'published': {'num_filters': 32}},
  # Smaller than published, so that RoIs are pooled from all levels.
  'roi_aligner': {'published': {'finest_scale': 10.0}},
  'cascade': {'num_sampled_rois': _NUM_ROIS, 'sampling_rule': 'even'},
  'box_head': {'fc_dims': 64},
  'mask_head': {'num_convs': 2, 'num_filters': 32},
  'semantic_head': {'num_classes': 12, 'num_convs': 2, 'num_filters': 32},
}


class Family(NamedTuple):
  """A family whose step is compared.

  Attributes:
    name: name in the file of the reference, `step_<name>.npz`.
    experiment: registered name of an experiment.
    overrides: nested overrides of the configuration of the task, beside those that reduce it.
  """

  name: str
  experiment: str
  overrides: Mapping[str, Any] = types.MappingProxyType({})

  @property
  def file(self) -> str:
    """Name of the file of the reference."""
    return f'step_{self.name}.npz'


_RESNET50: Mapping[str, Any] = {'model_id': 50, 'width_multiplier': 0.125}
_SWITCHABLE = {'standardized': True, 'switchable_stages': [2, 3, 4]}
_RES2NET: Mapping[str, Any] = {
  'model_id': 50,
  'width_multiplier': 0.25,
  'base_width': 26,
  'scales': 4,
  'deep_stem': True,
  'avg_down': True,
}
_HRNET: Mapping[str, Any] = {'width': 8, 'num_modules': [1, 1, 1], 'num_blocks': 1}
_SCNET: Mapping[str, Any] = {
  'cascade': {
    'interleaved': False,
    'mask_information_flow': False,
    'shared_mask': True,
    'feature_relay': True,
  },
  'mask_head': {'residual': True},
  'semantic_head': {'residual': True},
  'global_context': {'enabled': True, 'num_convs': 2},
}


_COMPOSITE: Mapping[str, Any] = {
  'type': 'published_swin',
  'published_swin': {
    'embed_dim': 8,
    'depths': [2, 1, 1, 1],
    'num_heads': [1, 2, 2, 4],
    'window_size': 3,
    'mlp_ratio': 2.0,
    'drop_path_rate': 0.0,
    'composite': True,
  },
}
_CONV_HEADS: Mapping[str, Any] = {
  'model': {
    'backbone': _COMPOSITE,
    'norm_activation': {'use_sync_bn': True},
    'box_head': {'num_convs': 2, 'num_fcs': 1, 'conv_filters': 32},
  },
  'losses': {'box_kind': 'giou', 'box_weight': 10.0},
}


_GROUP_NORMS: Mapping[str, Any] = {
  'decoder': {'published_fpn': {'norm_groups': 8}},
  'box_head': {'num_convs': 2, 'num_fcs': 1, 'conv_filters': 32, 'norm_groups': 8},
  'mask_head': {'norm_groups': 8},
}


def _htc(name: str, decoder: str = 'published_fpn', **backbone: Any) -> Family:
  """HTC with another backbone or decoder.

  Args:
    name: name of the family.
    decoder: type of the decoder.
    **backbone: overrides of the configuration of the backbone.
  """
  decoders = {
    'type': decoder,
    'published_hrfpn': {'num_filters': 32},
    'recursive_fpn': {'num_filters': 32, 'aspp_filters': 8},
  }
  return Family(
    name, 'htc_resnet50fpn_1x_coco', {'model': {'backbone': backbone, 'decoder': decoders}}
  )


FAMILIES = (
  Family('mask_rcnn', 'mask_rcnn_resnet50fpn_1x_coco'),
  Family('cascade_mask_rcnn', 'cascade_mask_rcnn_resnet50fpn_1x_coco'),
  Family('scnet', 'htc_resnet50fpn_1x_coco', {'model': _SCNET}),
  _htc('cbnetv2', **_COMPOSITE),
  Family('cbnetv2_4conv1fc', 'htc_resnet50fpn_20e_coco', _CONV_HEADS),
  Family('group_norm', 'htc_resnet50fpn_1x_coco', {'model': _GROUP_NORMS}),
  _htc('hrnet', 'published_hrfpn', type='published_hrnet', published_hrnet=_HRNET),
  _htc('res2net', published_resnet=_RES2NET),
  _htc('sac', published_resnet={**_RESNET50, **_SWITCHABLE}),
  _htc('rfp', 'recursive_fpn', published_resnet={**_RESNET50, 'standardized': True}),
  _htc('detectors', 'recursive_fpn', published_resnet={**_RESNET50, **_SWITCHABLE}),
)


def step_checks(folder: str, family: Family) -> list[Check]:
  """Checks of every loss and of the gradient of every parameter.

  Args:
    folder: folder with the reference and with the inputs, which are those of 20 steps.
    family: the family.
  """
  reference = dict(np.load(os.path.join(folder, family.file)))
  step = make_step(dict(np.load(os.path.join(folder, INPUTS))))
  config = task_of(family)
  model = build_htc(config.model)
  weights = step_weights.state_dict(step_weights.stored_shapes(reference))
  convert_checkpoint(Checkpoint(weights, 'torch', f'{family.name}.pth', ''), model)
  variables = model.trainable_variables
  result = training.run_step(config, model, step, variables)
  gradients = training_gradients.published_gradients(
    model, variables, result.gradients, find_mmdet_map(weights)
  )
  names = {name: _published_loss(name, reference) for name in result.terms}
  others = {f'loss/{name}' for name in names.values()} ^ {k for k in reference if '/' in k}
  return [
    at_most('losses: terms of only one implementation', len(others), 0),
    *training.loss_checks(result.terms, reference, names),
    *training_gradients.gradient_checks(gradients, _figures(reference)),
  ]


def task_of(family: Family) -> task_config.HTCTask:
  """Configuration of the reduced model of a family."""
  config = copy.deepcopy(exp_factory.get_exp_config(family.experiment).task)
  config.model.override(_REDUCED)
  config.override(dict(family.overrides))
  return config


def _figures(reference: Mapping[str, np.ndarray]) -> training_gradients.Figures:
  rows = zip(*(reference[key] for key in ('trained', 'norms', 'probes')))
  return {str(name): {'norm': norm, 'probe': probe} for name, norm, probe in rows}


def _published_loss(name: str, reference: Mapping[str, np.ndarray]) -> str:
  """Published name of a loss; models with one stage and shared mask heads have no stage in it."""
  if name.startswith('assistant_'):
    rest = _published_loss(name.removeprefix('assistant_'), reference)
    return f'assistant_{rest}'
  published = training.LOSSES.get(name, name)
  alone = published.rpartition('.')[2]
  if name == 'context_loss':
    return 'loss_glbctx'
  return published if f'loss/{published}' in reference else alone
