"""Box arithmetic in float32: areas, IoU, the delta coder and clipping; boxes are yxyx."""

import math
from collections.abc import Sequence

import tensorflow as tf

# Largest change of log-scale by a regressor: a side grows or shrinks at most by the factor 62.5.
MAX_LOG_SCALE = math.log(1000.0 / 16.0)


def area(boxes: tf.Tensor) -> tf.Tensor:
  """Area of each box; a negative side counts as 0.

  Args:
    boxes: [..., 4] yxyx; padding rows (all -1) have area 0.

  Returns:
    [...] float32.
  """
  sizes = box_sizes(tf.cast(boxes, tf.float32))
  return tf.reduce_prod(tf.nn.relu(sizes), axis=-1)


def box_sizes(boxes: tf.Tensor) -> tf.Tensor:
  """Height and width, [..., 2], of `boxes` [..., 4] yxyx."""
  return boxes[..., 2:] - boxes[..., :2]


def is_padding(boxes: tf.Tensor) -> tf.Tensor:
  """Whether each row of `boxes` [..., 4] is padding, that is, all -1; [...] bool."""
  return tf.reduce_all(tf.equal(boxes, -1), axis=-1)


def expand_like(values: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
  """Values with axes of size 1 after the others, so that they broadcast to another tensor.

  Args:
    values: tensor whose axes are the first ones of `other`.
    other: tensor of at least as many axes.
  """
  for _ in range(len(other.shape) - len(values.shape)):
    values = values[..., tf.newaxis]
  return values


def pairwise_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
  """Intersection over union of every box with every other box.

  Args:
    boxes: [..., num, 4] yxyx in any coordinate frame; padding rows are all -1.
    others: [..., num_others, 4] yxyx in the same coordinate frame; padding rows are all -1.

  Returns:
    [..., num, num_others] float32; 0 for padding rows and where the union is empty.
  """
  boxes, others = tf.cast(boxes, tf.float32), tf.cast(others, tf.float32)
  intersection = 1.0
  for low, high in ((0, 2), (1, 3)):  # One axis at a time keeps arrays [..., num, num_others].
    upper = tf.minimum(boxes[..., :, None, high], others[..., None, :, high])
    lower = tf.maximum(boxes[..., :, None, low], others[..., None, :, low])
    intersection *= tf.nn.relu(upper - lower)
  union = area(boxes)[..., :, None] + area(others)[..., None, :] - intersection
  return tf.math.divide_no_nan(intersection, union)


def encode(boxes: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float]) -> tf.Tensor:
  """Boxes encoded as deltas from anchors (Fast R-CNN, section 3.1; R-CNN, appendix C).

  Args:
    boxes: [..., 4] yxyx, with positive sides.
    anchors: [..., 4] yxyx in the same coordinate frame, with positive sides. If a side is not
      positive, the deltas are not finite, and callers must mask them.
    weights: four factors on dy, dx, dh, dw (the inverse standard deviations).

  Returns:
    [..., 4] float32 dy, dx, dh, dw.
  """
  centers, sizes = _centers_and_sizes(tf.cast(boxes, tf.float32))
  anchor_centers, anchor_sizes = _centers_and_sizes(tf.cast(anchors, tf.float32))
  shifts = (centers - anchor_centers) / anchor_sizes
  scales = tf.math.log(sizes / anchor_sizes)
  return tf.concat([shifts, scales], axis=-1) * tf.constant(weights, tf.float32)


def decode(
  deltas: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float], clip_below: bool = True
) -> tf.Tensor:
  """Boxes decoded from deltas; the inverse of `encode`.

  Args:
    deltas: [..., 4] dy, dx, dh, dw.
    anchors: [..., 4] yxyx.
    weights: four factors that `encode` multiplied dy, dx, dh, dw by.
    clip_below: whether dh and dw are clipped at -ln(1000 / 16) too, not only at +ln(1000 / 16).

  Returns:
    [..., 4] float32 yxyx in the coordinate frame of the anchors, not clipped to the image.
  """
  deltas = tf.cast(deltas, tf.float32) / tf.constant(weights, tf.float32)
  centers, sizes = _centers_and_sizes(tf.cast(anchors, tf.float32))
  scales = tf.minimum(deltas[..., 2:], MAX_LOG_SCALE)
  if clip_below:
    scales = tf.maximum(scales, -MAX_LOG_SCALE)
  centers += deltas[..., :2] * sizes
  half_sizes = 0.5 * sizes * tf.exp(scales)
  return tf.concat([centers - half_sizes, centers + half_sizes], axis=-1)


def clip(boxes: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
  """Boxes clipped to [0, height] and [0, width].

  Args:
    boxes: [batch, num, ..., 4] yxyx in padded-image pixels.
    image_shape: [batch, 2] height and width of each image before padding.

  Returns:
    Float32 of the shape of the boxes; a padding row (all -1) becomes the empty box at the origin.
  """
  limits = tf.tile(tf.cast(image_shape, tf.float32), [1, 2])  # [batch, 4]
  for _ in range(len(boxes.shape) - 2):
    limits = limits[:, None]
  return tf.clip_by_value(tf.cast(boxes, tf.float32), 0.0, limits)


def _centers_and_sizes(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  return 0.5 * (boxes[..., :2] + boxes[..., 2:]), box_sizes(boxes)
