"""Which instances of a record are trained on, and with which box."""

import functools

import tensorflow as tf

from htc_tf.data import left_out as left_out_lib
from htc_tf.data.left_out import LeftOut

Tensors = dict[str, tf.Tensor]
_PER_INSTANCE = ('boxes_normalized', 'classes', 'is_crowd', 'masks_png')
# Of the picture's side. What annotations reach over the border by rounding is not worth a count.
_ROUNDING = 1e-3


def usable_instances(
  decoded: Tensors, num_classes: int, max_num_instances: int, left_out: LeftOut
) -> Tensors:
  """A decoded record without the instances that nothing can be learnt from.

  These are instances whose box has a number that is not finite or no area inside the picture, or
  whose class is none of the model's. Boxes that reach over the border are clipped. More instances
  than an image trains on are counted here and cut by the parser, which keeps the first.

  Args:
    decoded: what `ExampleDecoder.decode` returns.
    num_classes: of the model, background included.
    max_num_instances: what the parser keeps of an image.
    left_out: the count.
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
    left_out_lib.INSTANCES: _number(~usable),
    left_out_lib.CLIPPED: _number(over_border),
    left_out_lib.BEYOND_LIMIT: tf.maximum(num_trained - max_num_instances, 0),
  }
  with tf.control_dependencies([_counted(decoded['source_id'], numbers, left_out)]):
    usable = tf.identity(usable)
  kept = {
    key: tf.boolean_mask(value, usable)
    for key, value in {**decoded, 'boxes_normalized': clipped}.items()
    if key in _PER_INSTANCE
  }
  return {**decoded, **kept}


def _number(chosen: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(chosen, tf.int32))


def _counted(source_id: tf.Tensor, numbers: Tensors, left_out: LeftOut) -> tf.Tensor:
  """An op that counts the numbers by kind; it calls Python unless all are 0."""
  kinds, values = list(numbers), tf.stack(list(numbers.values()))

  def count(source_id: int, values) -> bool:
    for kind, number in zip(kinds, values.tolist()):
      if number:
        reason = functools.partial('{} instances'.format, number)
        left_out.add(kind, f'image id {source_id}', reason, number)
    return True

  return tf.cond(
    tf.reduce_any(values > 0),
    lambda: tf.numpy_function(count, [source_id, values], tf.bool),
    lambda: True,
  )
