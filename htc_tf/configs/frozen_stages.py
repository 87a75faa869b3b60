"""Overrides of the frozen stages of the backbone, where those of an experiment do not fit."""

from typing import Any

from absl import logging
from official.core import config_definitions as cfg
from official.vision.configs import backbones

KEY = 'task.model.backbone.published_resnet.frozen_stages'
_RGB = 3


def how_to_train(backbone: backbones.Backbone, has_weights: bool) -> str:
  """The overrides by which every layer of a backbone is trained, for messages.

  Args:
    backbone: configuration of the backbone.
    has_weights: whether it starts from weights, to which its frozen norms belong.
  """
  options, section = backbone.get(), f'task.model.backbone.{backbone.type}'
  wanted = {'frozen_stages': '-1'}
  if not has_weights:
    wanted['norm_eval'] = 'false'
  if not getattr(options, 'train_norms', True):
    wanted['train_norms'] = 'true'
  overrides = [
    f'{section}.{name}={value}' for name, value in wanted.items() if hasattr(options, name)
  ]
  return ', '.join([*overrides, 'task.freeze_backbone=false'])


def trained_norms() -> dict[str, Any]:
  """Overrides by which nothing is frozen: statistics of random layers mean nothing."""
  values = {'frozen_stages': -1, 'norm_eval': False, 'train_norms': True}
  return {'task': {'model': {'backbone': {'published_resnet': values}}}}


def trained_stem(params: cfg.ExperimentConfig, num_channels: int) -> dict[str, Any]:
  """Overrides by which a stem is trained that initial weights of RGB images do not fit.

  Args:
    params: the experiment, which starts from weights.
    num_channels: number of channels of the images.

  Returns:
    Nested dictionaries for `overrides.apply`; empty if nothing is to change.
  """
  backbone = params.task.model.backbone
  if num_channels == _RGB or backbone.type != 'published_resnet':
    return {}
  frozen_stages = backbone.published_resnet.frozen_stages
  if frozen_stages < 0:
    return {}
  logging.info(
    'The images have %s and the initial weights are usually those of RGB images, whose first '
    'convolution is then adapted to other channels. It must be trained: frozen_stages=-1 in the '
    'place of %d.',
    'one channel' if num_channels == 1 else f'{num_channels} channels',
    frozen_stages,
  )
  return {'task': {'model': {'backbone': {'published_resnet': {'frozen_stages': -1}}}}}
