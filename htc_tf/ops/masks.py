"""Bit-packed instance masks and the targets of the mask head."""

import tensorflow as tf

from htc_tf.ops import bin_samples, xla
from htc_tf.ops import boxes as box_ops
from htc_tf.ops.without_autograph import without_autograph

_BITS = 8
_BIT_VALUES = (128, 64, 32, 16, 8, 4, 2, 1)


def pack_bits(masks: tf.Tensor) -> tf.Tensor:
  """Masks with eight pixels of a row per byte, the first pixel in the most significant bit.

  Args:
    masks: [..., width], zero or nonzero; the width is a multiple of 8.

  Returns:
    [..., width / 8] uint8, equal to `numpy.packbits(masks, axis=-1)`.
  """
  shape, width = tf.shape(masks), masks.shape[-1]
  # A matrix product takes 0.7 times as long as a reduction; float32 is exact up to 2^24.
  bits = tf.reshape(tf.cast(tf.cast(masks, tf.bool), tf.float32), [-1, _BITS])  # [bytes, 8]
  values = tf.matmul(bits, tf.constant(_BIT_VALUES, tf.float32, [_BITS, 1]))  # [bytes, 1]
  packed_shape = tf.concat([shape[:-1], [shape[-1] // _BITS]], axis=0)
  packed = tf.reshape(tf.cast(values, tf.uint8), packed_shape)
  return tf.ensure_shape(packed, [*masks.shape[:-1], width and width // _BITS])


def unpack_bits(packed: tf.Tensor) -> tf.Tensor:
  """Masks with one pixel per byte; the inverse of `pack_bits`.

  Args:
    packed: [..., width / 8] uint8.

  Returns:
    [..., width] uint8, 0 or 1.
  """
  places = tf.cast(tf.range(_BITS - 1, -1, -1), tf.uint8)
  bits = tf.bitwise.right_shift(packed[..., None], places) & 1  # [..., width / 8, 8]
  shape = tf.concat([tf.shape(packed)[:-1], [tf.shape(packed)[-1] * _BITS]], axis=0)
  return tf.reshape(bits, shape)  # [..., width]


def packed_extents(packed: tf.Tensor) -> tf.Tensor:
  """Boxes around the pixels of packed masks.

  Args:
    packed: [num, height, width / 8] uint8 masks, packed by `pack_bits`.

  Returns:
    [num, 4] float32 yxyx in pixels, the end exclusive; 0 for masks without a pixel.
  """
  rows = tf.reduce_any(packed > 0, axis=2)  # [num, height]
  bits = [tf.reduce_any(packed & value > 0, axis=1) for value in _BIT_VALUES]
  columns = tf.reshape(tf.stack(bits, axis=2), [tf.shape(packed)[0], -1])  # [num, width]
  (top, bottom), (left, right) = (_extent(line) for line in (rows, columns))
  return tf.cast(tf.stack([top, left, bottom, right], axis=1), tf.float32)


def _extent(filled: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """First and end (exclusive) of the true entries of [num, length]; 0 and 0 if there are none."""
  length = tf.shape(filled)[1]
  position = tf.range(length)
  end = tf.reduce_max(tf.where(filled, position + 1, 0), axis=1)
  first = tf.reduce_min(tf.where(filled, position, length), axis=1)
  return tf.minimum(first, end), end


def refit_boxes(boxes: tf.Tensor, packed: tf.Tensor, changed: tf.Tensor) -> tf.Tensor:
  """The boxes, where `changed` is true those around the pixels of the masks.

  Args:
    boxes: [num, 4] yxyx in padded-image pixels.
    packed: [num, height, width / 8] uint8 masks, packed by `pack_bits`.
    changed: [num] bool.
  """
  return tf.tensor_scatter_nd_update(
    boxes, tf.where(changed), packed_extents(tf.boolean_mask(packed, changed))
  )


def packed_areas(packed: tf.Tensor) -> tf.Tensor:
  """Number of pixels of packed masks [num, height, width / 8] uint8, [num] int32."""
  return tf.reduce_sum(tf.cast(tf.raw_ops.PopulationCount(x=packed), tf.int32), axis=[1, 2])


@without_autograph
def mask_targets(
  packed_masks: tf.Tensor,
  boxes: tf.Tensor,
  gt_index: tf.Tensor,
  image_shape: tf.Tensor,
  size: int = 28,
) -> tf.Tensor:
  """Training targets of the mask head: the mask of the matched instance within each box.

  As published, the box is clipped to the image, the mask is pooled by exact RoIAlign, and values of
  at least 0.5 are foreground. Masks are unpacked one at a time, and only around the box.

  Args:
    packed_masks: [batch, num_gt, height, width / 8] uint8 masks of the padded image, packed by
      `pack_bits`.
    boxes: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows are all -1.
    gt_index: [batch, num_rois] int32 row of the ground truth; any valid row where the box is
      padding.
    image_shape: [batch, 2] height and width of each image before padding.
    size: number of pixels of a target along each axis.

  Returns:
    [batch, num_rois, size, size] float32, 0 or 1; 0 for boxes without extent within the image.
  """
  shape = tf.shape(boxes)
  clipped = tf.reshape(box_ops.clip(boxes, image_shape), [-1, 4])  # [batch * num_rois, 4]
  if xla.compiling():
    return _static_mask_targets(packed_masks, clipped, gt_index, image_shape, size)
  rows = tf.cast(tf.where(box_ops.area(clipped) > 0)[:, 0], tf.int32)  # [num_boxes]
  images = rows // tf.maximum(shape[1], 1)
  instances = tf.gather(tf.reshape(gt_index, [-1]), rows)
  shares = tf.map_fn(
    lambda roi: _pool_mask(packed_masks, image_shape, size, *roi),
    (images, instances, tf.gather(clipped, rows)),
    fn_output_signature=tf.TensorSpec([size, size], tf.float32),
  )
  targets = tf.cast(shares >= 0.5, tf.float32)
  targets = tf.scatter_nd(rows[:, None], targets, [shape[0] * shape[1], size, size])
  targets = tf.reshape(targets, [shape[0], shape[1], size, size])
  return tf.ensure_shape(targets, [boxes.shape[0], boxes.shape[1], size, size])


def _static_mask_targets(
  packed_masks: tf.Tensor,
  clipped: tf.Tensor,
  gt_index: tf.Tensor,
  image_shape: tf.Tensor,
  size: int,
) -> tf.Tensor:
  """`mask_targets` with static shapes: every box is pooled, from the whole mask of its instance."""
  batch, num_rois = gt_index.shape
  height, width = packed_masks.shape[2], packed_masks.shape[3] * _BITS

  def pool_mask(inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
    image, instance, box = inputs
    mask = tf.cast(unpack_bits(packed_masks[image, instance]), tf.float32)  # [height, width]
    weights_y, weights_x = (
      bin_samples.static_pixel_weights(
        bin_samples.axis_samples(
          box[axis : axis + 1], box[axis + 2 : axis + 3], 1.0, size, image_shape[image, axis]
        ),
        num_pixels,
      )[0]
      for axis, num_pixels in ((0, height), (1, width))
    )
    return tf.matmul(tf.matmul(weights_y, mask), weights_x, transpose_b=True)

  images = tf.repeat(tf.range(batch), num_rois)
  shares = tf.map_fn(
    pool_mask,
    (images, tf.reshape(gt_index, [-1]), clipped),
    fn_output_signature=tf.TensorSpec([size, size], tf.float32),
  )
  return tf.reshape(tf.cast(shares >= 0.5, tf.float32), [batch, num_rois, size, size])


def _pool_mask(
  packed_masks: tf.Tensor,
  image_shape: tf.Tensor,
  size: int,
  image: tf.Tensor,
  instance: tf.Tensor,
  box: tf.Tensor,
) -> tf.Tensor:
  """Share of each cell of a box that the mask of an instance covers, [size, size] float32."""
  limits = image_shape[image]
  first_row, end_row = _pixels_read(box[0], box[2])
  first_column, end_column = _pixels_read(box[1], box[3])
  first_byte, end_byte = first_column // _BITS, -(-end_column // _BITS)
  packed = packed_masks[image, instance, first_row:end_row, first_byte:end_byte]
  mask = tf.cast(unpack_bits(packed), tf.float32)  # [rows, columns] around the box
  weights_y = _axis_weights(box[0::2], size, limits[0], first_row, tf.shape(mask)[0])
  weights_x = _axis_weights(box[1::2], size, limits[1], first_byte * _BITS, tf.shape(mask)[1])
  return tf.matmul(tf.matmul(weights_y, mask), weights_x, transpose_b=True)


def _pixels_read(begin: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """First and end (exclusive) of the pixels that samples between `begin` and `end` may read."""
  first = tf.cast(tf.floor(begin - 0.5), tf.int32)
  return tf.maximum(first, 0), tf.cast(tf.math.ceil(end + 0.5), tf.int32)


def _axis_weights(
  edges: tf.Tensor, size: int, limit: tf.Tensor, first: tf.Tensor, num_pixels: tf.Tensor
) -> tf.Tensor:
  """Shares [size, num_pixels] of the pixels from `first` on in the bins between two edges."""
  samples = bin_samples.axis_samples(edges[:1], edges[1:], 1.0, size, limit)
  return bin_samples.pixel_weights(samples, first, num_pixels)[0]
