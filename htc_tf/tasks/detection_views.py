"""The views of test-time augmentation: their scales, their network inputs, how they are joined."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.configs.detection_views import ViewRule, view_rules
from htc_tf.configs.frames import Resizing
from htc_tf.data import preprocess
from htc_tf.data import scales as scale_lib
from htc_tf.data.padding import padding_rule
from htc_tf.data.scales import Scale
from htc_tf.modeling import ensemble
from htc_tf.modeling.ensemble import Joining, Member, Prepared
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.multi_view import Fusion
from htc_tf.tasks.inputs import build_padding_rule


def rules(config: task_config.HTCTask) -> list[ViewRule]:
  """The views of each image; without test-time augmentation, the one of evaluation."""
  return view_rules(config.test_time_augmentation, _resizing(config))


def scales(config: task_config.HTCTask, is_alone: bool = True) -> list[Scale]:
  """The scales of the views; mirrored views have the scale of the view before.

  Args:
    config: configuration of the task.
    is_alone: whether the images of a batch are at no other scales.
  """
  parser, divisor = config.validation_data.parser, config.model.size_divisor
  resizings = [rule.resizing for rule in rules(config) if not rule.is_mirrored]
  is_fixed = is_alone or config.model.uses_static_size
  if is_fixed and resizings == [_resizing(config)]:
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


def member(config: task_config.HTCTask, model: HTCModel) -> Member:
  """A model with its views, as `config` describes them."""
  mirrors = config.test_time_augmentation.horizontal_flip
  return Member(model, len(scales(config)), mirrors, fusion(config))


def detect_batch(
  images: tf.Tensor,
  labels: Mapping[str, tf.Tensor],
  members: Sequence[Member],
  joining: Joining,
  divisor: int,
) -> dict[str, Any]:
  """The detections in a batch of the evaluation's input pipeline, for the evaluator.

  Args:
    images: images of a batch, at the first scale of the first member.
    labels: labels of a batch, which hold the other scales of all members.
    members: the models that detect together, or the only one.
    joining: how the results of several members are joined.
    divisor: multiple of which the sides of the network inputs are.
  """
  prepared = [(images, labels[scale_lib.info_key(0)])]
  for number in range(1, sum(member.num_scales for member in members)):
    prepared.append((labels[scale_lib.image_key(number)], labels[scale_lib.info_key(number)]))
  detections = ensemble.detect_members(
    members, [_at_least_one_image(each, divisor) for each in prepared], joining
  )
  outputs = {key: x[: tf.shape(images)[0]] for key, x in detections.to_dict().items()}
  return {**outputs, 'image_info': labels['image_info'], 'source_id': labels['source_id']}


def _at_least_one_image(prepared: Prepared, side: int) -> Prepared:
  """The inputs and their image_info, or those of one black image if the batch is empty.

  If the data ends before a replica's turn, its last batch is empty, and without static shapes it
  has height and width 0. Convolutions raise for such a batch.

  Args:
    prepared: inputs at one scale.
    side: height and width of the black image.
  """
  images, info = prepared
  if images.shape[0] is not None:
    return prepared
  shape = tf.shape(images)
  missing = tf.maximum([1, side, side], shape[:3]) - shape[:3]
  padded = tf.pad(images, tf.stack([[0, amount] for amount in [*tf.unstack(missing), 0]]))
  black = preprocess.image_info([side, side], [side, side])
  rows = tf.tile(black[tf.newaxis], [missing[0], 1, 1])
  return tf.ensure_shape(padded, images.shape), tf.concat([info, rows], 0)


def _resizing(config: task_config.HTCTask) -> Resizing:
  parser = config.validation_data.parser
  return Resizing(parser.min_sizes[0], parser.max_size)
