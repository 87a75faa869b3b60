"""Decoding, in a graph, of encoded images of any number of channels, of 8 or 16 bits.

A record and a request hold a PNG file of up to 4 channels, a JPEG file of gray or RGB, or an NPY
file in the form that `numpy.save` writes. RGB images of 8 bits are decoded by `preprocess`, which
converts images of every kind; other images must have exactly the channels and bits of the model.
"""

import tensorflow as tf

from htc_tf.data import (
  encoded_orientation,
  encoded_size,
  exif,
  image_limits,
  npy_file,
  png_file,
  preprocess,
)
from htc_tf.data.sample_format import SampleFormat

_HEADER_START = 10  # of version 1 of NPY files: signature, version, length of the header
_VERSION_1 = npy_file.SIGNATURE + b'\x01\x00'
_ANY_SIZE = '([1-9][0-9]{0,8})'
_GRAY_BYTES = SampleFormat(1, 8)


def num_pixels(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """Number of pixels that the header of a file gives, [] int64.

  Args:
    encoded: [] string, the bytes of the file.
    sample_format: channels and depth that the model reads; unless they are those of RGB images of 8
      bits, the file may be an NPY file. One of another form has 0 pixels.

  Raises:
    InvalidArgumentError: (when run) the file is of another type.
  """
  if sample_format.is_rgb:
    return encoded_size.num_pixels(encoded)
  return tf.cond(
    _is_npy(encoded),
    lambda: tf.reduce_prod(_npy_size(encoded, sample_format)),
    lambda: encoded_size.num_pixels(encoded),
  )


def within_limit(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """The unchanged bytes of a file, after a check of its size.

  Args:
    encoded: [] string, the bytes of the file.
    sample_format: channels and depth that the model reads.

  Raises:
    InvalidArgumentError: (when run) the file is of another type, or has more than
      `image_limits.MAX_PIXELS` pixels.
  """
  if sample_format.is_rgb:
    return encoded_size.within_limit(encoded)
  limit = tf.constant(image_limits.MAX_PIXELS, tf.int64)
  message = 'An image has too many pixels'
  with tf.control_dependencies(
    [tf.debugging.assert_less_equal(num_pixels(encoded, sample_format), limit, message)]
  ):
    return tf.identity(encoded)


def orientation_of(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """EXIF orientation, [] int64 of 1..8; NPY files have none and are upright.

  Args:
    encoded: [] string, the bytes of the file.
    sample_format: channels and depth that the model reads.
  """
  if sample_format.is_rgb:
    return encoded_orientation.orientation_of(encoded)
  return tf.cond(
    _is_npy(encoded),
    lambda: tf.constant(exif.UPRIGHT, tf.int64),
    lambda: encoded_orientation.orientation_of(encoded),
  )


def has_format(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """Whether a file can be decoded to images of a format, [] bool; see `decode`.

  Args:
    encoded: [] string, the bytes of the file.
    sample_format: channels and depth that the model reads.

  Raises:
    InvalidArgumentError: (when run) the header of the file is damaged.
  """
  if sample_format.is_rgb:
    return tf.constant(True)
  return tf.cond(
    _is_npy(encoded),
    lambda: tf.reduce_all(_npy_size(encoded, sample_format) > 0),
    lambda: tf.cond(
      tf.io.is_jpeg(encoded),
      lambda: _is_jpeg_of(encoded, sample_format),
      lambda: _is_png_of(encoded, sample_format),
    ),
  )


def decode(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """The samples of an encoded image, as stored: an EXIF orientation has no effect.

  Args:
    encoded: [] string, the bytes of the file.
    sample_format: channels and depth of the result.

  Returns:
    [height, width, channels] uint8 or uint16.

  Raises:
    InvalidArgumentError: (when run) the file cannot be decoded, or has other channels or bits,
      unless it is to be decoded to RGB of 8 bits.
  """
  if sample_format.is_rgb:
    return preprocess.decode_image(encoded)
  message = f'An image has other channels or another depth than {sample_format}'
  with tf.control_dependencies(
    [tf.debugging.Assert(has_format(encoded, sample_format), [message])]
  ):
    encoded = tf.identity(encoded)
  image = tf.cond(
    _is_npy(encoded),
    lambda: _decode_npy(encoded, sample_format),
    lambda: _decode_file(encoded, sample_format),
  )
  return tf.ensure_shape(image, [None, None, sample_format.num_channels])


def _decode_file(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  # TensorFlow has no number for gray with alpha; 0 keeps the channels of the file, which are known.
  channels = 0 if sample_format.num_channels == 2 else sample_format.num_channels

  def decode_png() -> tf.Tensor:
    return tf.io.decode_png(encoded, channels=channels, dtype=tf.as_dtype(sample_format.dtype))

  if sample_format.num_channels > png_file.MAX_CHANNELS:
    return tf.zeros([0, 0, sample_format.num_channels], sample_format.dtype)  # `decode` refused it.
  if sample_format != _GRAY_BYTES:
    return decode_png()
  return tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.decode_jpeg(encoded, channels=1, dct_method='INTEGER_ACCURATE'),
    decode_png,
  )


def _is_jpeg_of(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  is_possible = sample_format == _GRAY_BYTES
  return tf.equal(tf.io.extract_jpeg_shape(encoded)[2], 1) & is_possible


def _is_png_of(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  color_type = png_file.COLOR_TYPES.get(sample_format.num_channels)
  if color_type is None:
    return tf.constant(False)
  length = png_file.COLOR_TYPE_BYTE + 1
  # Bytes are appended because `substr` raises an error for a position beyond the end.
  header = tf.strings.join([tf.strings.substr(encoded, 0, length), bytes(length)])
  kind = tf.strings.substr(header, png_file.BIT_DEPTH_BYTE, 2)
  return tf.equal(kind, bytes([sample_format.bits, color_type]))


def _is_npy(encoded: tf.Tensor) -> tf.Tensor:
  return tf.equal(tf.strings.substr(encoded, 0, len(_VERSION_1)), _VERSION_1)


def _npy_header(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """The text of the header of an NPY file, and the position of the samples behind it."""
  padded = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER_START), bytes(_HEADER_START)])
  digits = tf.strings.substr(padded, len(_VERSION_1), 2)
  length = tf.cast(tf.io.decode_raw(digits, tf.uint16, little_endian=True)[0], tf.int32)
  start = tf.minimum(_HEADER_START, tf.strings.length(encoded))
  return tf.strings.substr(encoded, start, length), _HEADER_START + length


def _npy_size(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """Height and width, [2] int64, of an NPY file of a format; 0, 0 for one of another form."""
  header, _ = _npy_header(encoded)
  kind = '[|<]u1' if sample_format.bits == 8 else '<u2'
  channels = f', {sample_format.num_channels}'
  if sample_format.num_channels == 1:
    channels = f'(?:{channels})?'
  pattern = (
    rf"\{{'descr': '{kind}', 'fortran_order': False, "
    rf"'shape': \({_ANY_SIZE}, {_ANY_SIZE}{channels}\), \}} *\n"
  )
  is_valid = tf.strings.regex_full_match(header, pattern)
  sides = tf.cond(
    is_valid,
    lambda: tf.strings.regex_replace(header, pattern, r'\1 \2'),
    lambda: tf.constant('0 0'),
  )
  numbers = tf.strings.to_number(tf.strings.split(sides), tf.int64)
  return tf.ensure_shape(numbers, [2])


def _decode_npy(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  _, start = _npy_header(encoded)
  length = tf.strings.length(encoded)
  content = tf.strings.substr(encoded, tf.minimum(start, length), length)
  samples = tf.io.decode_raw(content, tf.as_dtype(sample_format.dtype), little_endian=True)
  shape = [*tf.unstack(_npy_size(encoded, sample_format), 2), sample_format.num_channels]
  return tf.reshape(samples, tf.stack([tf.cast(side, tf.int64) for side in shape]))
