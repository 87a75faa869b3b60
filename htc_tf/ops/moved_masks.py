"""Masks of boxes, sampled on the cells of other boxes."""

import tensorflow as tf


def move(masks: tf.Tensor, boxes: tf.Tensor, new_boxes: tf.Tensor, size: int) -> tf.Tensor:
  """Mask probabilities at the centers of the cells of other boxes.

  A mask covers its box with cells; between their centers it is interpolated bilinearly, with zeros
  outside, as when it is pasted (`evaluation.mask_paste`). In a box without extent along an axis,
  all cells sample the middle of the mask along this axis.

  Args:
    masks: [..., height, width] float32 probabilities in each cell of the box.
    boxes: [..., 4] yxyx box of each mask.
    new_boxes: [..., 4] yxyx box of each result, in the same pixels.
    size: number of rows and of columns of the results.

  Returns:
    [..., size, size] float32.
  """
  height, width = masks.shape[-2:]
  rows = _weights(boxes[..., 0::2], new_boxes[..., 0::2], height, size)
  columns = _weights(boxes[..., 1::2], new_boxes[..., 1::2], width, size)
  return tf.matmul(tf.matmul(rows, masks), columns, transpose_b=True)


def _weights(old: tf.Tensor, new: tf.Tensor, num_cells: int, size: int) -> tf.Tensor:
  """Weights [..., size, num_cells] of the cells along one axis.

  Args:
    old: [..., 2] lower and upper edge of the box of the mask.
    new: [..., 2] those of the box of the result.
    num_cells: number of cells of the mask.
    size: number of cells of the result.
  """
  steps = (tf.range(size, dtype=tf.float32) + 0.5) / size
  low, high = new[..., :1], new[..., 1:]
  positions = low + steps * (high - low)  # [..., size]
  extent = old[..., 1:] - old[..., :1]
  inside = tf.where(extent > 0, tf.math.divide_no_nan(positions - old[..., :1], extent), 0.5)
  cells = inside * num_cells - 0.5
  distances = tf.abs(cells[..., tf.newaxis] - tf.range(num_cells, dtype=tf.float32))
  return tf.nn.relu(1.0 - distances)
