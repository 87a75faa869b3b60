"""The sizes that network inputs are padded to."""

from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

Size = tuple[int, int]
# Height and width: numbers if known before the graph runs, otherwise a tensor [2] int32.
DynamicSize = Size | tf.Tensor


class PaddingRule(NamedTuple):
  """Rule for the padded size of an image; `padding_rule` makes one.

  Attributes:
    buckets: (height, width) of the static sizes, smallest area first. If there are none, each image
      is padded to the next multiples of `divisor`.
    max_hw: (height, width) that no image may exceed if there are no buckets.
    divisor: number that padded sides are multiples of if there are no buckets.
  """

  buckets: tuple[Size, ...]
  max_hw: Size
  divisor: int

  def bound(self, image_hw: tf.Tensor) -> DynamicSize:
    """Height and width that an image has to fit into: the smallest bucket that holds it.

    If no bucket holds it, the bucket into which it has to be shrunk least. Without buckets,
    `max_hw`.

    Args:
      image_hw: [2] height and width after resizing.
    """
    if len(self.buckets) < 2:
      return self.buckets[0] if self.buckets else self.max_hw
    buckets = tf.constant(self.buckets, tf.int32)  # [num_buckets, 2]
    shrinkage = tf.reduce_min(tf.cast(buckets, tf.float64) / tf.cast(image_hw, tf.float64), axis=1)
    # argmax returns the first of equal values, hence the smallest bucket.
    return buckets[tf.argmax(tf.minimum(shrinkage, 1.0))]

  def padded_hw(self, visible_hw: tf.Tensor, bound: DynamicSize) -> DynamicSize:
    """Height and width that an image is padded to; numbers if there is exactly one bucket.

    Args:
      visible_hw: [2] int32 height and width of the visible part, at most `bound`.
      bound: what `bound` returned for the image.
    """
    return bound if self.buckets else self.rounded(visible_hw)

  def rounded(self, image_hw: tf.Tensor) -> tf.Tensor:
    """[2] int32 next multiples of the divisor."""
    return -(-image_hw // self.divisor) * self.divisor


def padding_rule(buckets: Iterable[Size], max_hw: Size, divisor: int = 32) -> PaddingRule:
  """A rule with buckets in any order; see `PaddingRule`."""
  ordered = sorted((int(height), int(width)) for height, width in buckets)
  ordered.sort(key=lambda size: size[0] * size[1])
  return PaddingRule(tuple(ordered), (int(max_hw[0]), int(max_hw[1])), divisor)
