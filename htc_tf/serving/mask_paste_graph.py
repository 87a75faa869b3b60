"""Pasting of masks at the full size of their images, inside a graph.

The rule is that of `evaluation.mask_paste`: bilinear interpolation between the centers of the
cells, zeros outside the mask, and an object where the value is at least the threshold. Cells are
gathered and interpolated, not multiplied as matrices, because some accelerators multiply in a lower
precision.
"""

import tensorflow as tf

from htc_tf.evaluation.mask_paste import PUBLISHED_THRESHOLD
from htc_tf.ops import masks as mask_ops
from htc_tf.ops.without_autograph import without_autograph


@without_autograph
def paste_masks(
  mask_probs: tf.Tensor,
  boxes_original: tf.Tensor,
  original_hw: tf.Tensor,
  packed: bool,
  threshold: float = PUBLISHED_THRESHOLD,
) -> tf.Tensor:
  """Masks of a batch at the size of the images.

  Args:
    mask_probs: [batch, num, mask_height, mask_width] float32 probabilities within each box.
    boxes_original: [batch, num, 4] yxyx in pixels of the images.
    original_hw: [batch, 2] int32 height and width of the images.
    packed: whether to put eight pixels of a row into a byte, as `numpy.packbits(axis=-1)`.
    threshold: smallest probability of a pixel of an object, above 0.

  Returns:
    [batch, num, height, width] uint8 of 0 and 1, with the largest height and width of the batch; if
    packed, [batch, num, height, ceil(width / 8)]. Zero outside each image.
  """
  largest_hw = tf.reduce_max(original_hw, axis=0)
  num = tf.shape(mask_probs)[1]
  flat_hw = tf.repeat(original_hw, num, axis=0)  # [batch * num, 2]
  flat_boxes = tf.reshape(boxes_original, [-1, 4])
  flat_probs = tf.reshape(mask_probs, tf.concat([[-1], tf.shape(mask_probs)[2:]], 0))

  def paste(item: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
    probs, box, image_hw = item
    mask = _paste_one(probs, box, image_hw, largest_hw, threshold)
    return _pack(mask) if packed else mask

  with tf.device('CPU:0'):  # On the CPU, because shapes differ from mask to mask.
    pasted = tf.map_fn(
      paste,
      (flat_probs, flat_boxes, flat_hw),
      fn_output_signature=tf.TensorSpec([None, None], tf.uint8),
    )
  shape = tf.concat([tf.shape(mask_probs)[:2], tf.shape(pasted)[1:]], 0)
  return tf.reshape(pasted, shape)


def _paste_one(
  probs: tf.Tensor,
  box: tf.Tensor,
  original_hw: tf.Tensor,
  largest_hw: tf.Tensor,
  threshold: float,
) -> tf.Tensor:
  """One mask, uint8 of size `largest_hw`; only masks that reach the threshold are sampled."""
  return tf.cond(
    tf.reduce_max(probs) >= threshold,
    lambda: _sample(probs, box, original_hw, largest_hw, threshold),
    lambda: tf.zeros(largest_hw, tf.uint8),
  )


def _sample(
  probs: tf.Tensor,
  box: tf.Tensor,
  original_hw: tf.Tensor,
  largest_hw: tf.Tensor,
  threshold: float,
) -> tf.Tensor:
  """One mask, sampled at the pixels in and just around the box and padded to `largest_hw`."""
  padded = tf.pad(probs, [[1, 1], [1, 1]])  # One cell of zeros on every side.
  top, cells_y = _cells(box[0], box[2], original_hw[0], tf.shape(probs)[0])
  left, cells_x = _cells(box[1], box[3], original_hw[1], tf.shape(probs)[1])
  rows = _blend(padded, cells_y)  # [rows, mask_width + 2]
  values = tf.transpose(_blend(tf.transpose(rows), cells_x))  # [rows, columns]
  mask = tf.cast(values >= threshold, tf.uint8)
  end = largest_hw - tf.shape(mask) - [top, left]
  return tf.pad(mask, [[top, end[0]], [left, end[1]]])


def _cells(
  low: tf.Tensor, high: tf.Tensor, length: tf.Tensor, num_cells: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Positions in the mask of the image pixels along one axis.

  Args:
    low: lower edge of the box.
    high: upper edge of the box.
    length: number of pixels of the image.
    num_cells: number of cells of the mask.

  Returns:
    [] int32, the first pixel that the mask reaches, and [num_pixels] float64, the positions of this
    and the following pixels in cells of the mask. They lie between -1 and num_cells, the cells of
    zeros around the mask. There are no pixels if mask and image do not overlap.
  """
  low, high = tf.cast(low, tf.float64), tf.cast(high, tf.float64)
  num_cells = tf.cast(num_cells, tf.float64)
  pixels = tf.range(length)
  normalized = (tf.cast(pixels, tf.float64) + 0.5 - low) / (high - low) * 2 - 1
  # In a box without extent, a pixel samples the middle of the mask, as published. 0 / 0, a pixel
  # center on the edge of such a box, counts as outside.
  normalized = tf.where(tf.math.is_inf(normalized), tf.zeros_like(normalized), normalized)
  cells = ((normalized + 1) * num_cells - 1) / 2
  inside = (cells > -1) & (cells < num_cells)
  cells = tf.where(inside, cells, -tf.ones_like(cells))
  begin = tf.reduce_min(tf.where(inside, pixels, length))
  end = tf.maximum(tf.reduce_max(tf.where(inside, pixels + 1, 0)), begin)
  return begin, cells[begin:end]


def _blend(rows: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
  """Linear interpolation between the rows of a mask padded by one cell, [num_pixels, columns]."""
  lower = tf.floor(cells)
  share = tf.cast(cells - lower, tf.float32)[:, tf.newaxis]
  index = tf.cast(lower, tf.int32) + 1
  return tf.gather(rows, index) * (1 - share) + tf.gather(rows, index + 1) * share


def _pack(mask: tf.Tensor) -> tf.Tensor:
  """[height, width] to [height, ceil(width / 8)]."""
  return mask_ops.pack_bits(tf.pad(mask, [[0, 0], [0, -tf.shape(mask)[1] % 8]]))
