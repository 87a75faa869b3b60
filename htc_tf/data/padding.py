"""The sizes that network inputs are padded to."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

Size: TypeAlias = tuple[int, int]
# Height and width: numbers if known before the graph runs, otherwise a tensor [2] int32.
DynamicSize: TypeAlias = Size | tf.Tensor


class PaddingRule(NamedTuple):
  """Rule for the padded size of an image, made by `padding_rule`.

  Attributes:
    buckets: (height, width) of the static sizes, smallest area first. If there are none, each image
      is padded to the next multiples of `divisor`.
    max_hw: largest (height, width) of an image if there are no buckets.
    divisor: number that padded sides are multiples of if there are no buckets.
  """

  buckets: tuple[Size, ...]
  max_hw: Size
  divisor: int

  def bound(self, image_hw: tf.Tensor) -> DynamicSize:
    """Height and width that an image has to fit into.

    This is the smallest bucket that holds the image or, if none does, the bucket that requires the
    least shrinking. Without buckets it is `max_hw`.

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
      bound: result of `bound` for the image.
    """
    return bound if self.buckets else self.rounded(visible_hw)

  def rounded(self, image_hw: tf.Tensor) -> tf.Tensor:
    """The next multiples of the divisor, [2] int32."""
    return -(-image_hw // self.divisor) * self.divisor


def padding_rule(buckets: Iterable[Size], max_hw: Size, divisor: int = 32) -> PaddingRule:
  """A `PaddingRule`; the buckets may be in any order."""
  ordered = sorted((int(height), int(width)) for height, width in buckets)
  ordered.sort(key=lambda size: size[0] * size[1])
  return PaddingRule(tuple(ordered), (int(max_hw[0]), int(max_hw[1])), divisor)
