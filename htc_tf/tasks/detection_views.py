"""The views of test-time augmentation: their scales, their network inputs, how they are joined."""

from collections.abc import Mapping

import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.configs.detection_views import ViewRule, view_rules
from htc_tf.configs.frames import Resizing
from htc_tf.data import scales as scale_lib
from htc_tf.data.padding import padding_rule
from htc_tf.data.scales import Scale
from htc_tf.modeling.multi_view import Fusion
from htc_tf.modeling.views import View, views_of
from htc_tf.tasks.inputs import build_padding_rule


def rules(config: task_config.HTCTask) -> list[ViewRule]:
  """The views of each image; without test-time augmentation, the one of evaluation."""
  return view_rules(config.test_time_augmentation, _resizing(config))


def scales(config: task_config.HTCTask) -> list[Scale]:
  """The scales of the views; mirrored views have the scale of the view before."""
  parser, divisor = config.validation_data.parser, config.model.size_divisor
  resizings = [rule.resizing for rule in rules(config) if not rule.is_mirrored]
  if resizings == [_resizing(config)]:
    padding = build_padding_rule(parser, config.model)
    return [Scale(parser.min_sizes[0], parser.max_size, padding)]
  # Images of a batch need not have the same bucket at every scale.
  sides = [-(-resizing.max_size // divisor) * divisor for resizing in resizings]
  return [
    Scale(resizing.min_size, resizing.max_size, padding_rule([], (side, side), divisor))
    for resizing, side in zip(resizings, sides)
  ]


def describe(config: task_config.HTCTask) -> str:
  """The views in words; '' for the one of evaluation."""
  found = rules(config)
  if len(found) == 1 and found[0].resizing == _resizing(config):
    return ''
  sizes = [rule.resizing for rule in found if not rule.is_mirrored]
  text = ', '.join(f'{size.min_size} (long side up to {size.max_size})' for size in sizes)
  mirrored = ', each also mirrored' if config.test_time_augmentation.horizontal_flip else ''
  return f'short sides {text}{mirrored}'


def fusion(config: task_config.HTCTask) -> Fusion:
  """How the results of the views are joined."""
  generator = config.model.roi_generator
  chosen = generator.get()
  threshold = (
    chosen.nms_threshold if generator.type == 'published' else chosen.test_nms_iou_threshold
  )
  ranges = [rule.area_range for rule in rules(config)]
  bounded = tuple(area_range for area_range in ranges if area_range is not None)
  return Fusion(threshold, chosen.test_num_proposals, bounded)


def of_labels(
  images: tf.Tensor, labels: Mapping[str, tf.Tensor], config: task_config.HTCTask
) -> list[View]:
  """The views of a batch of the evaluation's input pipeline.

  Args:
    images: images of a batch.
    labels: labels of a batch.
    config: configuration of the task.
  """
  scaled = [(images, labels[scale_lib.info_key(0)])]
  for number in range(1, len(scales(config))):
    scaled.append((labels[scale_lib.image_key(number)], labels[scale_lib.info_key(number)]))
  return views_of(scaled, config.test_time_augmentation.horizontal_flip)


def _resizing(config: task_config.HTCTask) -> Resizing:
  parser = config.validation_data.parser
  return Resizing(parser.min_sizes[0], parser.max_size)
