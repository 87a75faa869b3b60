"""Batching of images by bucket or, without buckets, by orientation."""

from collections.abc import Callable

import tensorflow as tf

from htc_tf.data.images import IGNORED_LABEL
from htc_tf.data.padding import PaddingRule
from htc_tf.errors import ConfigError
from htc_tf.ops.without_autograph import without_autograph

# Padding values of labels that are not padded with 0.
_PADDING = {'gt_semantic': IGNORED_LABEL}
_MAX_SIDE = 1 << 20

Tensors = dict[str, tf.Tensor]
Specs = dict[str, tf.TensorSpec]
BatchFn = Callable[[tf.data.Dataset, tf.distribute.InputContext | None], tf.data.Dataset]


def batch_by_bucket(rule: PaddingRule, global_batch_size: int, drop_remainder: bool) -> BatchFn:
  """A `transform_and_batch_fn` of Model Garden's input reader.

  With buckets, all images of a batch are of one bucket. Without buckets, they have one orientation
  (landscape or square, or portrait) and are padded to the largest height and width in the batch, as
  with mmdetection's aspect-ratio sampler. Every image is already padded to multiples of the
  divisor, so that the sides of the batch are multiples as well.

  An image waits until its bucket or orientation has enough images for a batch. No image is dropped,
  except with `drop_remainder` at the end of a data set that does not repeat. The order of the
  batches depends only on the order of the images.

  Args:
    rule: rule by which the parser padded the images.
    global_batch_size: number of images per batch of all replicas together.
    drop_remainder: whether incomplete batches at the end of the data are dropped.

  Returns:
    A function from the elements (image, labels) of `data.parser.Parser`, and the context of the
    distribution strategy if any, to batches for one replica. It raises ConfigError if the replicas
    cannot share a batch equally.
  """

  def transform(
    dataset: tf.data.Dataset, context: tf.distribute.InputContext | None = None
  ) -> tf.data.Dataset:
    size = global_batch_size // _num_replicas(context, global_batch_size)
    if len(rule.buckets) == 1:
      return dataset.batch(size, drop_remainder=drop_remainder)
    padding = _padding_values(dataset.element_spec)

    @without_autograph
    def batch(_, group: tf.data.Dataset) -> tf.data.Dataset:
      if rule.buckets:
        return group.batch(size, drop_remainder=drop_remainder)
      return group.padded_batch(size, padding_values=padding, drop_remainder=drop_remainder)

    key = _size_key if rule.buckets else _orientation_key
    return dataset.group_by_window(key, batch, window_size=size)

  return transform


def _num_replicas(context: tf.distribute.InputContext | None, global_batch_size: int) -> int:
  """Number of replicas that share a batch; raises ConfigError if they cannot share it equally."""
  num_replicas = context.num_replicas_in_sync if context else 1
  if global_batch_size % num_replicas:
    raise ConfigError(
      'A batch cannot be shared equally',
      expected=f'a global_batch_size that is a multiple of {num_replicas} replicas',
      got=str(global_batch_size),
      likely_cause='a larger runtime.num_gpus, or more workers, than before',
    )
  return num_replicas


@without_autograph
def _size_key(image: tf.Tensor, _) -> tf.Tensor:
  """An integer that is different for each padded size."""
  height, width = tf.unstack(tf.shape(image, tf.int64)[:2])
  return height * _MAX_SIDE + width


@without_autograph
def _orientation_key(_, labels: Tensors) -> tf.Tensor:
  """1 if the stored image is portrait, else 0."""
  height, width = tf.unstack(labels['image_info'][0])
  return tf.cast(height > width, tf.int64)


def _padding_values(element_spec: tuple[tf.TensorSpec, Specs]) -> tuple[tf.Tensor, Tensors]:
  image, labels = element_spec
  return (
    tf.zeros([], image.dtype),
    {key: tf.constant(_PADDING.get(key, 0), spec.dtype) for key, spec in labels.items()},
  )
