"""Steps that XLA compiles for batches whose size is one of a few buckets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

Size = tuple[int, int]
Batch = tuple[tf.Tensor, Mapping[str, tf.Tensor]]
_BITS = 8  # Pixels of a mask per byte.


def run_compiled(step: Callable[[Batch], Any], batch: Batch, buckets: Sequence[Size]) -> Any:
  """The result of `step(batch)`, run as one XLA program per bucket.

  XLA needs static shapes, but with several buckets the height and width of a batch are unknown when
  the graph is traced. A program is compiled when the first batch of its bucket arrives.

  Args:
    step: function of (images, labels) that returns nested tensors, whose shapes do not depend on
      the bucket.
    batch: images [batch, height, width, channels] and labels of `data.parser.Parser`, with a static
      batch axis.
    buckets: possible (height, width) of the batch; one or more.

  Raises:
    tf.errors.InvalidArgumentError: (when run) the size of the batch is none of the buckets.
  """
  compiled = tf.function(step, jit_compile=True, autograph=False)
  if len(buckets) == 1:
    return compiled(_with_static_shapes(batch, buckets[0]))
  size = tf.shape(batch[0])[1:3]
  matches = tf.reduce_all(tf.equal(size, tf.constant(buckets)), axis=1)  # [num_buckets]
  # If no bucket matches, the index is 0, and the check of shapes in that branch raises.
  index = tf.argmax(matches, output_type=tf.int32)
  return tf.switch_case(
    index,
    [lambda bucket=bucket: compiled(_with_static_shapes(batch, bucket)) for bucket in buckets],
  )


def _with_static_shapes(batch: Batch, bucket: Size) -> Batch:
  """The batch with the static shapes of a bucket, which are checked when the step runs."""
  images, labels = batch
  height, width = bucket
  sides: dict[str, Size] = {'gt_masks': (height, width // _BITS), 'gt_semantic': bucket}
  fixed = {
    key: tf.ensure_shape(value, [*value.shape[:-2], *sides[key]]) if key in sides else value
    for key, value in labels.items()
  }
  return tf.ensure_shape(images, [images.shape[0], height, width, images.shape[3]]), fixed
