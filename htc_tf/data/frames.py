"""The sizes that network inputs are padded to."""

from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

Size = tuple[int, int]
# Height and width: numbers where known beforehand, else a tensor [2].
Frame = Size | tf.Tensor


class FrameRule(NamedTuple):
  """Which size an image is padded to; made by `frame_rule`.

  Attributes:
    sizes: (height, width) of the static frames, those of least area first. Empty: each image is
      padded to the next multiples of `divisor`.
    limit: (height, width) that no image may exceed where there are no static frames.
    divisor: what the sides of a padded image are multiples of where there are no static frames.
  """

  sizes: tuple[Size, ...]
  limit: Size
  divisor: int

  def bound(self, image_hw: tf.Tensor) -> Frame:
    """What an image of a size has to fit into: the least frame that holds it.

    If none holds it, the frame into which it would have to be shrunk least.

    Args:
      image_hw: [2] height and width after resizing.

    Returns:
      Height and width, int32; `limit` where there are no static frames.
    """
    if len(self.sizes) < 2:
      return self.sizes[0] if self.sizes else self.limit
    sizes = tf.constant(self.sizes, tf.int32)  # [num_frames, 2]
    shrinkage = tf.reduce_min(tf.cast(sizes, tf.float64) / tf.cast(image_hw, tf.float64), axis=1)
    return sizes[tf.argmax(tf.minimum(shrinkage, 1.0))]  # Of equal ones argmax takes the first.

  def padded(self, image_hw: tf.Tensor, bound: Frame) -> Frame:
    """The size an image is padded to.

    Args:
      image_hw: [2] int32 height and width of what is to be seen of it, not larger than `bound`.
      bound: see `bound`.

    Returns:
      Height and width, int32; numbers if there is one static frame.
    """
    return bound if self.sizes else -(-image_hw // self.divisor) * self.divisor


def frame_rule(sizes: Iterable[Size], limit: Size, divisor: int = 32) -> FrameRule:
  """A rule of static frames in any order; see `FrameRule`."""
  ordered = sorted((int(height), int(width)) for height, width in sizes)
  ordered.sort(key=lambda size: size[0] * size[1])
  return FrameRule(tuple(ordered), (int(limit[0]), int(limit[1])), divisor)
