"""Pixel count of an encoded image, read from its header before anything is decoded."""

import tensorflow as tf

from htc_tf.data.images import MAX_PIXELS

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_HEADER = 24  # Number of bytes of a PNG up to and including width and height.


def num_pixels(encoded: tf.Tensor) -> tf.Tensor:
  """Number of pixels that the header of a JPEG or PNG gives, [] int64.

  Args:
    encoded: [] string, the bytes of the file.

  Raises:
    InvalidArgumentError: (when run) the file is neither JPEG nor PNG.
  """
  size = tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.extract_jpeg_shape(encoded)[:2],
    lambda: _png_size(encoded),
  )
  return tf.reduce_prod(tf.cast(size, tf.int64))


def is_deep_png(encoded: tf.Tensor) -> tf.Tensor:
  """Whether a file is a PNG with samples of 16 bits, [] bool.

  Args:
    encoded: [] string, the bytes of the file.
  """
  # Bytes are appended because `substr` raises an error for a position beyond the end.
  header = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER + 1), bytes(_HEADER + 1)])
  begin = tf.strings.substr(header, 0, len(_PNG_SIGNATURE))
  return (begin == _PNG_SIGNATURE) & (tf.strings.substr(header, _HEADER, 1) == b'\x10')


def within_limit(encoded: tf.Tensor) -> tf.Tensor:
  """The unchanged bytes of a JPEG or PNG, after a check of its size.

  Args:
    encoded: [] string, the bytes of the file.

  Raises:
    InvalidArgumentError: (when run) the file is neither JPEG nor PNG, or has more than `MAX_PIXELS`
      pixels.
  """
  with tf.control_dependencies(
    [
      tf.debugging.assert_less_equal(
        num_pixels(encoded), tf.constant(MAX_PIXELS, tf.int64), 'An image has too many pixels'
      )
    ]
  ):
    return tf.identity(encoded)


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
  """Width and height in the header of a PNG, [2] int32."""
  # Bytes are appended because `substr` raises an error for a position beyond the end.
  header = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), bytes(_HEADER)])
  begin = tf.strings.substr(header, 0, len(_PNG_SIGNATURE))
  is_png = (begin == _PNG_SIGNATURE) & (tf.strings.substr(header, 12, 4) == b'IHDR')
  with tf.control_dependencies([tf.debugging.Assert(is_png, ['An image is neither JPEG nor PNG'])]):
    size = tf.io.decode_raw(tf.strings.substr(header, 16, 8), tf.int32, little_endian=False)
  return tf.ensure_shape(size, [2])
