"""Batches of images of one frame."""

from collections.abc import Callable

import tensorflow as tf

from htc_tf.data.frames import FrameRule
from htc_tf.errors import ConfigError

# What padding holds where it is not 0.
_PADDING = {'gt_semantic': 255}
_MAX_SIDE = 1 << 20

BatchFn = Callable[[tf.data.Dataset, tf.distribute.InputContext | None], tf.data.Dataset]


def batch_by_frame(frames: FrameRule, global_batch_size: int, drop_remainder: bool) -> BatchFn:
  """A `transform_and_batch_fn` of Model Garden's input reader.

  With static frames a batch is of one frame. Without, it is of one orientation (landscape and
  square, or portrait) and padded to its own largest height and width, as mmdetection's aspect-ratio
  sampler does; elements are padded to multiples of the divisor before, so that its sides are such.

  An element waits for others of its kind and is never dropped, except with `drop_remainder` at the
  end of a data set that does not repeat. The order is a function of the order of the elements.

  Args:
    frames: what the parser padded to.
    global_batch_size: of all replicas together.
    drop_remainder: whether batches that the end of the data leaves incomplete are dropped.

  Raises:
    ConfigError: (by the function returned) replicas that cannot share a batch equally.

  Returns:
    From elements (image, labels) of `data.parser.Parser`, and the context of distribution if any,
    to batches for one replica.
  """

  def transform(
    dataset: tf.data.Dataset, context: tf.distribute.InputContext | None = None
  ) -> tf.data.Dataset:
    size = global_batch_size // _num_replicas(context, global_batch_size)
    if len(frames.sizes) == 1:
      return dataset.batch(size, drop_remainder=drop_remainder)
    padding = _padding_values(dataset.element_spec)

    def batch(_, group: tf.data.Dataset) -> tf.data.Dataset:
      if frames.sizes:
        return group.batch(size, drop_remainder=drop_remainder)
      return group.padded_batch(size, padding_values=padding, drop_remainder=drop_remainder)

    key = _frame_key if frames.sizes else _orientation_key
    return dataset.group_by_window(key, batch, window_size=size)

  return transform


def _num_replicas(context: tf.distribute.InputContext | None, global_batch_size: int) -> int:
  """Replicas that share a batch; raises ConfigError where it cannot be shared equally."""
  num_replicas = context.num_replicas_in_sync if context else 1
  if global_batch_size % num_replicas:
    raise ConfigError(
      'A batch cannot be shared equally',
      expected=f'a global_batch_size that is a multiple of {num_replicas} replicas',
      got=str(global_batch_size),
      likely_cause='more devices than before: runtime.num_gpus, or more workers',
    )
  return num_replicas


def _frame_key(image: tf.Tensor, _) -> tf.Tensor:
  height, width = tf.unstack(tf.shape(image, tf.int64)[:2])
  return height * _MAX_SIDE + width


def _orientation_key(_, labels) -> tf.Tensor:
  """1 for portrait, of the stored image."""
  height, width = tf.unstack(labels['image_info'][0])
  return tf.cast(height > width, tf.int64)


def _padding_values(element_spec):
  image, labels = element_spec
  return (
    tf.zeros([], image.dtype),
    {key: tf.constant(_PADDING.get(key, 0), spec.dtype) for key, spec in labels.items()},
  )
