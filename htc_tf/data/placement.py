"""Placement of image, boxes, masks and semantic map in the network input.

One `Placement` describes the used part, transposing, resizing, cropping and flipping for all of
them, so that they match.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.data.augmentation.base import Augmentation, PlacementPlan
from htc_tf.data.padding import DynamicSize, PaddingRule
from htc_tf.data.source_view import SourceView
from htc_tf.ops import masks as mask_ops

# Numbers that make the seeds of regions different from those of other choices.
_REGION_SEEDS = 1 << 16


class Placement(NamedTuple):
  """Placement of an image in the padded input: view, then resize, then crop, then flip.

  Attributes:
    original_hw: [2] int32 size of the view of the stored image.
    scaled_hw: [2] int32 size after resizing.
    offset: [2] int32 first visible row and column of the resized image.
    visible_hw: [2] int32 size of the visible part, which starts at the origin of the input.
    flip_yx: [2] bool, whether rows and columns of the visible part are reversed.
    padded_hw: height and width of the input; numbers if there is one bucket, otherwise [2] int32.
    view: part of the stored image that is placed, and whether it is transposed.
  """

  original_hw: tf.Tensor
  scaled_hw: tf.Tensor
  offset: tf.Tensor
  visible_hw: tf.Tensor
  flip_yx: tf.Tensor
  padded_hw: DynamicSize
  view: SourceView = SourceView()


def choose_placement(
  stored_hw: tf.Tensor,
  min_sizes: tuple[int, ...],
  max_size: int,
  padding: PaddingRule,
  augmentations: Sequence[Augmentation],
  seed: tf.Tensor,
) -> Placement:
  """A random placement.

  Args:
    stored_hw: [2] int32 size of the stored image.
    min_sizes: short sides to choose from, all equally likely.
    max_size: limit of the long side.
    padding: rule for the padded size.
    augmentations: augmentations, which may change the placement.
    seed: [2] int; the same seed gives the same placement.
  """
  seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3 + len(augmentations)))
  # This order of the seeds is kept so that a `task.seed` gives the choices of earlier versions.
  size_seed, crop_seed, augmentation_seeds = seeds[0], seeds[2], (seeds[1], *seeds[3:])
  choice = tf.random.stateless_uniform([], size_seed, 0, len(min_sizes), tf.int32)
  min_size = tf.gather(tf.constant(min_sizes, tf.int32), choice)
  region = _choose_region(stored_hw, augmentations, seed)
  region_hw = SourceView(region).size(stored_hw)
  scale = preprocess.resize_scale(region_hw, min_size, max_size)
  plan = PlacementPlan(scale, tf.constant([False, False]))
  for augmentation, plan_seed in zip(augmentations, augmentation_seeds):
    plan = augmentation.change_plan(plan, plan_seed)
  view = SourceView(region, plan.transpose)
  original_hw = view.size(stored_hw)
  bound = padding.bound(preprocess.apply_scale(original_hw, plan.scale))
  scale = plan.scale
  if not any(augmentation.may_crop for augmentation in augmentations):
    scale = preprocess.resize_scale(original_hw, min_size, max_size, bound)
  scaled_hw = preprocess.apply_scale(original_hw, scale)
  visible_hw = tf.minimum(scaled_hw, bound)
  spare = tf.cast(scaled_hw - visible_hw + 1, tf.float64)
  offset = tf.cast(tf.random.stateless_uniform([2], crop_seed, dtype=tf.float64) * spare, tf.int32)
  padded_hw = padding.padded_hw(visible_hw, bound)
  return Placement(original_hw, scaled_hw, offset, visible_hw, plan.flip_yx, padded_hw, view)


def _choose_region(
  stored_hw: tf.Tensor, augmentations: Sequence[Augmentation], seed: tf.Tensor
) -> tf.Tensor | None:
  """The part of the image that is used, [4] int32; None if no augmentation cuts one out."""
  if not any(augmentation.may_cut for augmentation in augmentations):
    return None
  region = tf.concat([[0, 0], stored_hw], 0)
  for number, augmentation in enumerate(augmentations):
    region_seed = tf.random.experimental.stateless_fold_in(seed, _REGION_SEEDS + number)
    region = augmentation.change_region(region, region_seed)
  return region


def place_image(image: tf.Tensor, placement: Placement) -> tf.Tensor:
  """The visible part of a resized image.

  Args:
    image: [height, width, channels] uint8 or uint16, the stored image.
    placement: placement of the image.

  Returns:
    [visible_h, visible_w, channels] float32 of integers 0..255 or 0..65535.
  """
  resized = preprocess.resize_image(placement.view.take(image), placement.scaled_hw)
  visible = tf.slice(
    resized,
    tf.concat([placement.offset, [0]], 0),
    tf.concat([placement.visible_hw, [image.shape[-1]]], 0),
  )
  # Slicing with a negative stride takes seven times as long as `reverse`.
  visible = tf.cond(placement.flip_yx[0], lambda: tf.reverse(visible, [0]), lambda: visible)
  return tf.cond(placement.flip_yx[1], lambda: tf.reverse(visible, [1]), lambda: visible)


def place_boxes(boxes_normalized: tf.Tensor, placement: Placement) -> tf.Tensor:
  """Boxes in the padded input, clipped to the visible part.

  Args:
    boxes_normalized: [num, 4] yxyx relative to the view, 0..1 inside it.
    placement: placement of the image.

  Returns:
    [num, 4] float32 yxyx in padded-image pixels; boxes outside the visible part have no area.
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
  """The nearest original row and column of each visible row and column, chosen as by OpenCV.

  Returns:
    [visible_h] and [visible_w] int32: floor(scaled position * step). The step is the reciprocal of
    scaled / original, as OpenCV computes it; original / scaled rounds differently and selects
    another row or column if a position falls on a whole number.
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


def visible_region(placement: Placement) -> tf.Tensor:
  """The part of the view that is visible, [4] int32 yxyx in its pixels.

  It has all pixels that lie in the visible part, also those that no index of `source_indices` reads
  because the image becomes smaller.
  """
  original = tf.cast(placement.original_hw, tf.float64)
  step = original / tf.cast(placement.scaled_hw, tf.float64)
  first = tf.floor(tf.cast(placement.offset, tf.float64) * step)
  end = tf.math.ceil(tf.cast(placement.offset + placement.visible_hw, tf.float64) * step)
  return tf.cast(tf.concat([first, tf.minimum(end, original)], 0), tf.int32)


def place_labels(
  labels: tf.Tensor, indices: tuple[tf.Tensor, tf.Tensor], padded_hw: DynamicSize, padding: int
) -> tf.Tensor:
  """A label map after resizing, cropping, flipping and padding.

  Args:
    labels: [height, width] uint8 in pixels of the view.
    indices: result of `source_indices`.
    padded_hw: height and width of the result.
    padding: value outside the visible part.

  Returns:
    [padded_h, padded_w] uint8.
  """
  placed = tf.gather(_take_columns(labels, indices[1]), indices[0])  # [visible_h, visible_w]
  return preprocess.pad_to(placed[:, :, tf.newaxis], padded_hw, padding)[:, :, 0]


def place_mask(
  mask: tf.Tensor, indices: tuple[tf.Tensor, tf.Tensor], padded_hw: DynamicSize
) -> tf.Tensor:
  """A mask after resizing, cropping, flipping, padding and packing.

  The width is resized first, only in the rows that the instance touches. The height is resized
  after packing, because packed rows are eight times smaller.

  Args:
    mask: [height, width] uint8 of 0 and 1 in pixels of the view.
    indices: result of `source_indices`.
    padded_hw: height and width of the result; the width is a multiple of 8.

  Returns:
    [padded_h, padded_w / 8] uint8, eight pixels of a row per byte.
  """
  filled = tf.where(tf.reduce_any(tf.cast(mask, tf.bool), axis=1))[:, 0]  # rows with pixels
  first, count = tf.cast(filled[:1], tf.int32), tf.cast(filled[-1:] - filled[:1] + 1, tf.int32)
  first, count = tf.reduce_sum(first), tf.reduce_sum(count)  # 0, 0 for an empty mask
  columns = _take_columns(mask[first : first + count], indices[1])  # [count, visible_w]
  # One empty row is added above and below; every row that the instance does not touch reads it.
  columns = tf.pad(columns, [[1, 1], [0, padded_hw[1] - tf.shape(columns)[1]]])
  rows = tf.clip_by_value(indices[0] - first + 1, 0, count + 1)
  packed = tf.gather(mask_ops.pack_bits(columns), rows)  # [visible_h, padded_w / 8]
  return tf.pad(packed, [[0, padded_hw[0] - tf.shape(packed)[0]], [0, 0]])


def _take_columns(labels: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
  """The given columns of a map.

  Gathering rows of the transpose is several times faster than gathering columns.
  """
  return tf.transpose(tf.gather(tf.transpose(labels), columns))
