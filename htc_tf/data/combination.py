"""Combination of each training image with another one of the stream."""

from typing import Any

import tensorflow as tf

from htc_tf.data.fallback import zeros_like_spec
from htc_tf.data.parser import Parser
from htc_tf.ops.without_autograph import without_autograph

Tensors = dict[str, tf.Tensor]


def combine_neighbors(dataset: tf.data.Dataset, parser: Parser) -> tf.data.Dataset:
  """Training elements of placed images, each combined with the image before it.

  The stream is shuffled, so that the preceding image is any other one; the first image has none and
  stays alone. Each image is read and placed once.

  Args:
    dataset: results of `Parser.place`.
    parser: parser that placed them.
  """
  start = zeros_like_spec(dataset.element_spec)  # An image without pixels and objects.

  @without_autograph
  def with_previous(previous: Tensors, placed: Tensors) -> tuple[Tensors, tuple[Tensors, Tensors]]:
    return placed, (placed, previous)

  @without_autograph
  def finish(placed: Tensors, previous: Tensors) -> Any:
    return parser.finish(parser.combine(placed, previous))

  pairs = dataset.scan(start, with_previous)
  return pairs.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
