"""Runs a step compiled by XLA on batches whose frame is one of a few static ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

Size = tuple[int, int]
Batch = tuple[tf.Tensor, Mapping[str, tf.Tensor]]
_BITS = 8


def run_compiled(step: Callable[[Batch], Any], batch: Batch, frames: Sequence[Size]) -> Any:
  """Runs `step(batch)` as one XLA program for each frame, compiled when its first batch comes.

  XLA needs static shapes, while batches of several frames come with unknown height and width.

  Args:
    step: a function of (images, labels), returning nested tensors whose shapes do not depend on the
      frame.
    batch: images [batch, height, width, 3] and labels as `data.parser.Parser` makes them, with a
      static batch axis.
    frames: the (height, width) that may come; one or more.

  Returns:
    What `step` returns. A batch of no frame of the list is an error of TensorFlow,
    `InvalidArgumentError`.
  """
  compiled = tf.function(step, jit_compile=True, autograph=False)
  if len(frames) == 1:
    return compiled(_in_frame(batch, frames[0]))
  size = tf.shape(batch[0])[1:3]
  is_frame = tf.reduce_all(tf.equal(size, tf.constant(frames)), axis=1)  # [num_frames]
  # Of none of them the first branch runs, whose check of shapes fails.
  index = tf.argmax(is_frame, output_type=tf.int32)
  return tf.switch_case(
    index, [lambda frame=frame: compiled(_in_frame(batch, frame)) for frame in frames]
  )


def _in_frame(batch: Batch, frame: Size) -> Batch:
  """The batch with static shapes, checked when it runs."""
  images, labels = batch
  height, width = frame
  sides: dict[str, Size] = {'gt_masks': (height, width // _BITS), 'gt_semantic': frame}
  fixed = {
    key: tf.ensure_shape(value, [*value.shape[:-2], *sides[key]]) if key in sides else value
    for key, value in labels.items()
  }
  return tf.ensure_shape(images, [images.shape[0], height, width, 3]), fixed
