"""Where an image comes to lie in the network frame, and what that does to boxes and label maps.

One Placement describes resizing, cropping and flipping; image, boxes, masks and semantic map all
follow it, so that they cannot disagree.
"""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.data import packed_masks, preprocess
from htc_tf.data.frames import Frame, FrameRule


class Augmentation(NamedTuple):
  """The random part of a placement; the defaults change nothing.

  Attributes:
    horizontal_flip_probability: of mirroring left and right.
    vertical_flip_probability: of mirroring top and bottom.
    scale_range: factors between which the published scale is multiplied, followed by a random crop
      where the result exceeds the frame; None: never larger than the frame, never cropped.
  """

  horizontal_flip_probability: float = 0.0
  vertical_flip_probability: float = 0.0
  scale_range: tuple[float, float] | None = None


class Placement(NamedTuple):
  """How an image is placed in the frame: resize, then crop, then flip.

  Attributes:
    original_hw: [2] int32 size of the stored image.
    scaled_hw: [2] int32 size after resizing.
    offset: [2] int32 first visible row and column of the resized image.
    visible_hw: [2] int32 size of the part in the frame, which begins at the frame's origin.
    flip_yx: [2] bool whether rows, columns of the visible part are reversed.
    frame_hw: height and width of the frame; numbers if there is one frame only, else [2] int32.
  """

  original_hw: tf.Tensor
  scaled_hw: tf.Tensor
  offset: tf.Tensor
  visible_hw: tf.Tensor
  flip_yx: tf.Tensor
  frame_hw: Frame


def choose_placement(
  original_hw: tf.Tensor,
  min_sizes: tuple[int, ...],
  max_size: int,
  frames: FrameRule,
  augmentation: Augmentation,
  seed: tf.Tensor,
) -> Placement:
  """Draws a placement.

  Args:
    original_hw: [2] int32.
    min_sizes: short sides to choose from, all equally likely.
    max_size: limit of the long side.
    frames: which frame an image goes to.
    augmentation: what is random besides.
    seed: [2] int; the same seed gives the same placement.
  """
  seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
  choice = tf.random.stateless_uniform([], seeds[0], 0, len(min_sizes), tf.int32)
  min_size = tf.gather(tf.constant(min_sizes, tf.int32), choice)
  scale = preprocess.resize_scale(original_hw, min_size, max_size)
  if augmentation.scale_range is not None:
    scale *= tf.random.stateless_uniform([], seeds[1], *augmentation.scale_range, tf.float64)
  bound = frames.bound(preprocess.apply_scale(original_hw, scale))
  if augmentation.scale_range is None:
    scale = preprocess.resize_scale(original_hw, min_size, max_size, bound)
  scaled_hw = preprocess.apply_scale(original_hw, scale)
  visible_hw = tf.minimum(scaled_hw, bound)
  spare = tf.cast(scaled_hw - visible_hw + 1, tf.float64)
  offset = tf.cast(tf.random.stateless_uniform([2], seeds[2], dtype=tf.float64) * spare, tf.int32)
  probabilities = [augmentation.vertical_flip_probability, augmentation.horizontal_flip_probability]
  flip_yx = tf.random.stateless_uniform([2], seeds[3]) < tf.constant(probabilities, tf.float32)
  frame_hw = frames.padded(visible_hw, bound)
  return Placement(original_hw, scaled_hw, offset, visible_hw, flip_yx, frame_hw)


def place_image(image: tf.Tensor, placement: Placement) -> tf.Tensor:
  """[height, width, 3] uint8 to [visible_h, visible_w, 3] float32 of integers 0..255."""
  resized = preprocess.resize_image(image, placement.scaled_hw)
  visible = tf.slice(
    resized, tf.concat([placement.offset, [0]], 0), tf.concat([placement.visible_hw, [3]], 0)
  )
  # Slicing backwards takes seven times as long as `reverse`.
  visible = tf.cond(placement.flip_yx[0], lambda: tf.reverse(visible, [0]), lambda: visible)
  return tf.cond(placement.flip_yx[1], lambda: tf.reverse(visible, [1]), lambda: visible)


def place_boxes(boxes_normalized: tf.Tensor, placement: Placement) -> tf.Tensor:
  """Boxes in the frame, clipped to the visible part.

  Args:
    boxes_normalized: [num, 4] yxyx, 0..1 of the original image.
    placement: where the image lies.

  Returns:
    [num, 4] float32 yxyx in padded-image pixels; boxes out of sight have no area.
  """
  scaled = tf.cast(placement.scaled_hw, tf.float32)
  offset = tf.cast(placement.offset, tf.float32)
  visible = tf.cast(placement.visible_hw, tf.float32)
  top_left = tf.clip_by_value(boxes_normalized[:, :2] * scaled - offset, 0.0, visible)
  bottom_right = tf.clip_by_value(boxes_normalized[:, 2:] * scaled - offset, 0.0, visible)
  return tf.concat(
    [
      tf.where(placement.flip_yx, visible - bottom_right, top_left),
      tf.where(placement.flip_yx, visible - top_left, bottom_right),
    ],
    axis=1,
  )


def source_indices(placement: Placement) -> tuple[tf.Tensor, tf.Tensor]:
  """The original row and column of each visible row and column, nearest as in OpenCV.

  Returns:
    [visible_h] and [visible_w] int32: floor(scaled position * step). The step is the reciprocal of
    scaled / original, as OpenCV computes it: original / scaled rounds differently, and would pick
    another row or column where a position falls on a whole number.
  """
  indices = []
  for axis in (0, 1):
    visible = placement.visible_hw[axis]
    positions = tf.range(visible)
    positions = tf.where(placement.flip_yx[axis], visible - 1 - positions, positions)
    positions = tf.cast(positions + placement.offset[axis], tf.float64)
    original = placement.original_hw[axis]
    scale = tf.cast(placement.scaled_hw[axis], tf.float64) / tf.cast(original, tf.float64)
    nearest = tf.cast(tf.floor(positions * (1.0 / scale)), tf.int32)
    indices.append(tf.minimum(nearest, original - 1))
  return indices[0], indices[1]


def place_labels(
  labels: tf.Tensor, indices: tuple[tf.Tensor, tf.Tensor], frame_hw: Frame, padding: int
) -> tf.Tensor:
  """Resizes, crops, flips and pads a label map.

  Args:
    labels: [height, width] uint8 in original pixels.
    indices: see `source_indices`.
    frame_hw: size of the frame.
    padding: value outside the visible part.

  Returns:
    [frame_h, frame_w] uint8.
  """
  placed = tf.gather(_take_columns(labels, indices[1]), indices[0])  # [visible_h, visible_w]
  return preprocess.pad_to(placed[:, :, tf.newaxis], frame_hw, padding)[:, :, 0]


def place_mask(mask: tf.Tensor, indices: tuple[tf.Tensor, tf.Tensor], frame_hw: Frame) -> tf.Tensor:
  """Resizes, crops, flips, pads and packs a mask.

  Only the rows the instance is in are resized, and they are repeated after packing, when they are
  an eighth of the size.

  Args:
    mask: [height, width] uint8 of 0 and 1 in original pixels.
    indices: see `source_indices`.
    frame_hw: size of the frame; the width is a multiple of 8.

  Returns:
    [frame_h, frame_w / 8] uint8, eight pixels to a byte.
  """
  filled = tf.where(tf.reduce_any(tf.cast(mask, tf.bool), axis=1))[:, 0]  # rows with pixels
  first, count = tf.cast(filled[:1], tf.int32), tf.cast(filled[-1:] - filled[:1] + 1, tf.int32)
  first, count = tf.reduce_sum(first), tf.reduce_sum(count)  # 0, 0 for an empty mask
  columns = _take_columns(mask[first : first + count], indices[1])  # [count, visible_w]
  columns = tf.pad(columns, [[1, 1], [0, frame_hw[1] - tf.shape(columns)[1]]])  # empty rows around
  rows = tf.clip_by_value(indices[0] - first + 1, 0, count + 1)
  packed = tf.gather(packed_masks.pack(columns), rows)  # [visible_h, frame_w / 8]
  return tf.pad(packed, [[0, frame_hw[0] - tf.shape(packed)[0]], [0, 0]])


def _take_columns(labels: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
  """Gathers columns as rows of the transpose: byte by byte along a row is several times slower."""
  return tf.transpose(tf.gather(tf.transpose(labels), columns))
