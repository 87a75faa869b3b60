"""Anchors of the region proposal network, in the coordinate frame of the padded image."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from htc_tf.ops import image_padding

Size: TypeAlias = int | tf.Tensor


def generate_anchors(
  feature_shapes: Mapping[str, tuple[Size, Size]],
  scale: float = 8.0,
  aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
  center_offset: float = 0.0,
) -> dict[str, tf.Tensor]:
  """Anchors of every feature level (FPN, section 4.1: one scale per level).

  Args:
    feature_shapes: level, such as '2', to height and width of its map; the stride is 2**level.
    scale: side of the square anchor in units of the stride.
    aspect_ratios: height / width of the anchors at a position; all have the same area.
    center_offset: position of an anchor's center in its cell, in units of the stride: 0 is the
      upper left corner of the cell (as published), 0.5 its center.

  Returns:
    Level to [height * width * num_ratios, 4] float32 yxyx in padded-image pixels, ordered by row,
    column, ratio. Anchors may extend beyond the image.
  """
  return {
    level: _level_anchors(shape, 2 ** int(level), scale, aspect_ratios, center_offset)
    for level, shape in feature_shapes.items()
  }


def inside_image(anchors: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
  """Whether each anchor lies wholly inside each image; the far edges are exclusive, as published.

  Args:
    anchors: [num, 4] yxyx in padded-image pixels.
    image_shape: [batch, 2] height and width of each image before padding.

  Returns:
    [batch, num] bool.
  """
  starts_inside = tf.reduce_all(anchors[:, :2] >= 0, axis=-1)  # [num]
  limits = tf.cast(image_shape, anchors.dtype)[:, None, :]  # [batch, 1, 2]
  return starts_inside & tf.reduce_all(anchors[:, 2:] < limits, axis=-1)


def centered_inside(
  anchors: tf.Tensor, image_shape: tf.Tensor, size_divisor: int = 32
) -> tf.Tensor:
  """Whether the center of each anchor lies in each image with the padding of `padded_alone`.

  Args:
    anchors: [num, 4] yxyx in padded-image pixels.
    image_shape: [batch, 2] height and width of each image before padding.
    size_divisor: divisor that height and width are rounded up to a multiple of.

  Returns:
    [batch, num] bool.
  """
  centers = 0.5 * (anchors[:, :2] + anchors[:, 2:])  # [num, 2]
  limits = image_padding.padded_alone(image_shape, size_divisor)
  return tf.reduce_all(centers < limits[:, None, :], axis=-1)


def _level_anchors(
  shape: tuple[Size, Size],
  stride: int,
  scale: float,
  aspect_ratios: Sequence[float],
  center_offset: float,
) -> tf.Tensor:
  """Anchors of one level, [height * width * num_ratios, 4]."""
  height, width = shape
  ratio_roots = tf.sqrt(tf.constant(aspect_ratios, tf.float32))
  sizes = stride * scale * tf.stack([ratio_roots, 1.0 / ratio_roots], axis=-1)  # [num_ratios, 2]
  base = tf.concat([-0.5 * sizes, 0.5 * sizes], axis=-1)  # [num_ratios, 4]
  rows, columns = (
    (tf.range(tf.cast(size, tf.float32)) + center_offset) * stride for size in (height, width)
  )
  grid_rows, grid_columns = tf.meshgrid(rows, columns, indexing='ij')
  centers = tf.stack([grid_rows, grid_columns] * 2, axis=-1)  # [height, width, 4]
  return tf.reshape(centers[:, :, None, :] + base, [-1, 4])  # [height * width * num_ratios, 4]
