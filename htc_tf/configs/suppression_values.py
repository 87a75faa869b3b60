"""Overrides of the detection generator that change nothing, because of its other values."""

from collections.abc import Collection

from absl import logging

from htc_tf.configs import model as model_config

_PREFIX = 'task.model.detection_generator'


def warn_of_values_without_effect(config: model_config.HTC, changed: Collection[str]) -> None:
  """Log a warning for each override that has no effect.

  Args:
    config: the configuration after the overrides.
    changed: full names of the keys that the overrides set.
  """
  for key, reason in _without_effect(config).items():
    if f'{_PREFIX}.{key}' in changed:
      logging.warning('%s.%s has no effect: %s', _PREFIX, key, reason)


def _without_effect(config: model_config.HTC) -> dict[str, str]:
  """Key to the reason why its value has no effect."""
  generator = config.detection_generator
  kind = f'{_PREFIX}.nms is {generator.nms}'
  reasons = {}
  if generator.nms != 'gaussian':
    reasons['soft_nms_sigma'] = f'{kind}, and only gaussian reads it'
  if generator.nms == 'hard':
    reasons['soft_nms_min_score'] = f'{kind}, and only linear and gaussian read it'
  if generator.nms == 'gaussian':
    reasons['nms_threshold'] = f'{kind}, and only hard and linear read it'
  if generator.class_score_thresholds:
    reasons['score_threshold'] = 'class_score_thresholds has a limit for each class'
  num_proposals = config.roi_generator.get().test_num_proposals
  num_classes = config.num_classes - 1
  if generator.max_detections > num_proposals * num_classes:
    reasons['max_detections'] = (
      f'a model of {num_proposals} proposals and {num_classes} classes has '
      f'{num_proposals * num_classes} detections at most'
    )
  return reasons
