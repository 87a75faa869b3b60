"""Selection of the instances that can be trained on, with clipped boxes."""

import functools

import numpy as np
import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.skipped import SkipCounter

Tensors = dict[str, tf.Tensor]
# Entries of a decoded record with one row per instance.
PER_INSTANCE = ('boxes_normalized', 'classes', 'is_crowd', 'masks_png')
# Boxes that cross the border by at most this share of the image's side are not counted, because the
# cause is rounding.
_ROUNDING = 1e-3


def usable_instances(
  decoded: Tensors, num_classes: int, max_num_instances: int, counter: SkipCounter
) -> Tensors:
  """A decoded record without the instances that cannot be trained on.

  An instance is skipped if its box has a coordinate that is not finite or has no area inside the
  image, or if the model does not have its class. Boxes that cross the border are clipped. Instances
  beyond the limit per image are only counted here; the parser keeps the first ones.

  Args:
    decoded: result of `ExampleDecoder.decode`.
    num_classes: number of classes of the model, background included.
    max_num_instances: largest number of instances per image that the parser keeps.
    counter: counter of skipped and clipped instances.
  """
  boxes, classes = decoded['boxes_normalized'], decoded['classes']
  clipped = tf.clip_by_value(boxes, 0.0, 1.0)
  usable = (
    tf.reduce_all(tf.math.is_finite(boxes), 1)
    & tf.reduce_all(clipped[:, 2:] > clipped[:, :2], 1)
    & (classes > 0)
    & (classes < num_classes)
  )
  over_border = usable & tf.reduce_any(tf.abs(boxes - clipped) > _ROUNDING, 1)
  num_trained = _number(usable & ~decoded['is_crowd'])
  numbers = {
    skipped.INSTANCES: _number(~usable),
    skipped.CLIPPED: _number(over_border),
    skipped.OVER_LIMIT: tf.maximum(num_trained - max_num_instances, 0),
  }
  with tf.control_dependencies([_count(decoded['source_id'], numbers, counter)]):
    usable = tf.identity(usable)
  kept = {
    key: tf.boolean_mask(value, usable)
    for key, value in {**decoded, 'boxes_normalized': clipped}.items()
    if key in PER_INSTANCE
  }
  return {**decoded, **kept}


def _number(chosen: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(chosen, tf.int32))


def _count(source_id: tf.Tensor, numbers: Tensors, counter: SkipCounter) -> tf.Tensor:
  """An op that adds the numbers by kind to the counter; it calls Python only if one is not 0."""
  kinds, values = list(numbers), tf.stack(list(numbers.values()))

  def count(source_id: int, values: np.ndarray) -> bool:
    for kind, number in zip(kinds, values.tolist()):
      if number:
        reason = functools.partial('{} instances'.format, number)
        counter.add(kind, f'image id {source_id}', reason, number)
    return True

  return tf.cond(
    tf.reduce_any(values > 0),
    lambda: tf.numpy_function(count, [source_id, values], tf.bool),
    lambda: True,
  )
