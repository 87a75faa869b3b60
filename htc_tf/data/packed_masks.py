"""Masks eight pixels to a byte, as numpy.packbits(axis=-1) lays them out."""

import tensorflow as tf

_BIT_VALUES = (128, 64, 32, 16, 8, 4, 2, 1)


def pack(masks: tf.Tensor) -> tf.Tensor:
  """Packs masks along their width, the leftmost pixel in the most significant bit.

  Args:
    masks: [..., height, width] of 0 and 1, any number type; width is a multiple of 8.

  Returns:
    [..., height, width / 8] uint8.
  """
  shape = tf.shape(masks)
  bits = tf.reshape(tf.cast(masks, tf.float32), [-1, 8])  # [bytes, 8]
  values = tf.matmul(bits, tf.constant(_BIT_VALUES, tf.float32, [8, 1]))  # [bytes, 1]
  packed = tf.reshape(tf.cast(values, tf.uint8), tf.concat([shape[:-1], [shape[-1] // 8]], 0))
  return tf.ensure_shape(
    packed, [*masks.shape[:-1], masks.shape[-1] // 8 if masks.shape[-1] else None]
  )


def unpack(packed: tf.Tensor) -> tf.Tensor:
  """Inverse of `pack`: [..., height, width / 8] uint8 to [..., height, width] uint8 of 0 and 1."""
  shifts = tf.constant(range(7, -1, -1), tf.uint8)
  bits = tf.bitwise.right_shift(packed[..., tf.newaxis], shifts) & tf.constant(1, tf.uint8)
  shape = tf.concat([tf.shape(packed)[:-1], [tf.shape(packed)[-1] * 8]], 0)
  masks = tf.reshape(bits, shape)
  masks.set_shape([*packed.shape[:-1], packed.shape[-1] * 8 if packed.shape[-1] else None])
  return masks
