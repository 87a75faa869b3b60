"""The part of a stored image that is placed, and whether its rows and columns are exchanged."""

from typing import NamedTuple

import tensorflow as tf


class SourceView(NamedTuple):
  """A view of a stored image: first a part is cut out, then rows and columns are exchanged.

  Attributes:
    region: [4] int32 top, left, height and width of the part in stored pixels; None: the image.
    transpose: [] bool, whether rows become columns; False if no image is transposed.
  """

  region: tf.Tensor | None = None
  transpose: tf.Tensor | bool = False

  def size(self, stored_hw: tf.Tensor) -> tf.Tensor:
    """Height and width of the view, [2] int32, of an image of the size `stored_hw`."""
    size = stored_hw if self.region is None else self.region[2:]
    if self.transpose is False:
      return size
    return tf.where(self.transpose, tf.reverse(size, [0]), size)

  def take(self, pixels: tf.Tensor) -> tf.Tensor:
    """The view of an image or map.

    Args:
      pixels: [height, width] or [height, width, channels] of the stored size.
    """
    others = list(range(2, pixels.shape.rank))
    static = [None, None, *pixels.shape[2:]]
    if self.region is not None:
      start = tf.concat([self.region[:2], [0] * len(others)], 0)
      size = tf.concat([self.region[2:], [-1] * len(others)], 0)
      pixels = tf.ensure_shape(tf.slice(pixels, start, size), static)
    if self.transpose is False:
      return pixels
    turned = tf.cond(self.transpose, lambda: tf.transpose(pixels, [1, 0, *others]), lambda: pixels)
    return tf.ensure_shape(turned, static)

  def take_boxes(self, boxes_normalized: tf.Tensor, stored_hw: tf.Tensor) -> tf.Tensor:
    """Boxes relative to the view.

    Args:
      boxes_normalized: [num, 4] yxyx, 0..1 of the stored image.
      stored_hw: [2] int32 size of the stored image.

    Returns:
      [num, 4] yxyx; 0..1 inside the view, other values outside.
    """
    boxes = boxes_normalized
    if self.region is not None:
      origin, size = tf.split(tf.cast(self.region, tf.float32), 2)
      stored = tf.tile(tf.cast(stored_hw, tf.float32), [2])
      boxes = (boxes * stored - tf.tile(origin, [2])) / tf.tile(size, [2])
    if self.transpose is False:
      return boxes
    return tf.where(self.transpose, tf.gather(boxes, [1, 0, 3, 2], axis=1), boxes)
