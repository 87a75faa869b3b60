"""From an image to the network input: resizing by the published rule, normalizing, padding.

Training, prediction and serving all call these functions, so that they get the same pixels. The
functions take one image [height, width, channels] of uint8 or uint16, or a batch [batch, height,
width, channels] of images of one size. They work eagerly and in graphs, with static and dynamic
shapes.
"""

from typing import NamedTuple, TypeAlias

import tensorflow as tf

from htc_tf.data import encoded_size
from htc_tf.data.padding import DynamicSize
from htc_tf.data.sample_format import RGB, SampleFormat

# A length in pixels: a number, or a tensor [] if training chooses it at random.
Side: TypeAlias = int | tf.Tensor

IMAGE_MEAN = (123.675, 116.28, 103.53)
IMAGE_STDDEV = (58.395, 57.12, 57.375)


class Normalization(NamedTuple):
  """How samples become values of the network input; the defaults are the published.

  Attributes:
    mean: mean of each channel, in units of the samples.
    stddev: standard deviation of each channel, in units of the samples.
    dtype: type of the network input in the input pipelines; values are computed in float32.
    largest: largest sample: 255, or 65535 for 16 bits.
  """

  mean: tuple[float, ...] = IMAGE_MEAN
  stddev: tuple[float, ...] = IMAGE_STDDEV
  dtype: str = 'float32'
  largest: int = 255


PUBLISHED = Normalization()


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
  """The pixels of a JPEG, PNG or BMP file, or of the first image of a GIF file.

  JPEG is decoded with the accurate transform, as in OpenCV and Pillow. TensorFlow's default is a
  fast transform, with which most pixels differ by up to 3 gray levels. Samples of 16 bits are
  divided by 257 and rounded, as in `rgb_pixels`; TensorFlow would drop their lower 8 bits.

  Args:
    encoded: [] string, the content of the file.

  Returns:
    [height, width, 3] uint8 RGB, as stored: an EXIF orientation has no effect.
  """
  image = tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method='INTEGER_ACCURATE'),
    lambda: tf.cond(
      encoded_size.is_deep_png(encoded),
      lambda: _decode_deep_png(encoded),
      lambda: tf.io.decode_image(encoded, channels=3, dtype=tf.uint8, expand_animations=False),
    ),
  )
  image.set_shape([None, None, 3])
  return image


def _decode_deep_png(encoded: tf.Tensor) -> tf.Tensor:
  """Pixels [height, width, 3] uint8 of a PNG file with samples of 16 bits."""
  samples = tf.io.decode_png(encoded, channels=3, dtype=tf.uint16)
  return tf.cast((tf.cast(samples, tf.int32) + 128) // 257, tf.uint8)


def resize_scale(
  image_hw: tf.Tensor, min_size: Side, max_size: Side, bound: DynamicSize | None = None
) -> tf.Tensor:
  """The factor of the published rule, min(max_size / long side, min_size / short side).

  Args:
    image_hw: [2] height and width in original pixels.
    min_size: length of the short side, unless a limit makes it shorter.
    max_size: limit of the long side.
    bound: if given, the factor is reduced until the result fits into this height and width.

  Returns:
    [] float64, because the published rule rounds in this precision.
  """
  image_hw = tf.cast(image_hw, tf.float64)
  scale = tf.minimum(
    tf.cast(max_size, tf.float64) / tf.reduce_max(image_hw),
    tf.cast(min_size, tf.float64) / tf.reduce_min(image_hw),
  )
  if bound is not None:
    scale = tf.minimum(scale, tf.reduce_min(tf.cast(bound, tf.float64) / image_hw))
  return scale


def apply_scale(image_hw: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
  """The resized height and width, [2] int32: int(side * scale + 0.5), at least 1."""
  sides = tf.cast(image_hw, tf.float64) * scale + 0.5
  return tf.maximum(tf.cast(tf.floor(sides), tf.int32), 1)


def scaled_size(
  image_hw: tf.Tensor, min_size: Side, max_size: Side, bound: DynamicSize | None = None
) -> tf.Tensor:
  """The size that an image is resized to by the published rule.

  Args:
    image_hw: [2] height and width in original pixels.
    min_size: length of the short side, unless a limit makes it shorter.
    max_size: limit of the long side.
    bound: if given, the image is shrunk, with its aspect ratio kept, until it fits into this height
      and width.

  Returns:
    [2] int32 height and width.
  """
  return apply_scale(image_hw, resize_scale(image_hw, min_size, max_size, bound))


def resize_image(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """The resized image, as OpenCV computes it for uint8.

  The interpolation is bilinear with half-pixel centers and without antialiasing, then rounded.

  Args:
    image: [..., height, width, channels] uint8 or uint16.
    size: [2] int32 height and width of the result.

  Returns:
    [..., size[0], size[1], channels] float32 of integers 0..255 or 0..65535.
  """
  return tf.floor(tf.image.resize(image, size, method='bilinear', antialias=False) + 0.5)


def normalize(image: tf.Tensor, normalization: Normalization = PUBLISHED) -> tf.Tensor:
  """(image - mean) / stddev in float32.

  Args:
    image: [..., width, channels].
    normalization: mean and standard deviation of each channel.
  """
  # Mean and deviation are tiled to a row: broadcasting three channels takes three times as long.
  channels, width = (normalization.mean, normalization.stddev), tf.shape(image)[-2]
  rows = tf.reshape(tf.cast(image, tf.float32), [-1, width * len(normalization.mean)])
  mean, deviation = (tf.tile(tf.constant(x, tf.float32), [width]) for x in channels)
  normalized = tf.reshape((rows - mean) / deviation, tf.shape(image))
  return tf.ensure_shape(normalized, image.shape)


def denormalize(
  image: tf.Tensor, normalization: Normalization = PUBLISHED, sample_format: SampleFormat = RGB
) -> tf.Tensor:
  """The inverse of `normalize` up to rounding, for showing network inputs.

  Args:
    image: [..., width, channels] normalized; padding, which is 0, becomes the mean.
    normalization: mean and standard deviation of each channel.
    sample_format: channels and depth of the images.

  Returns:
    [..., width, channels] uint8 or uint16.
  """
  mean, stddev = (tf.constant(x, tf.float32) for x in (normalization.mean, normalization.stddev))
  pixels = tf.cast(image, tf.float32) * stddev + mean
  dtype = tf.as_dtype(sample_format.dtype)
  return tf.cast(tf.clip_by_value(tf.round(pixels), 0, dtype.max), dtype)


def pad_to(image: tf.Tensor, padded_hw: DynamicSize, value: float = 0) -> tf.Tensor:
  """The image with padding at the bottom and on the right.

  Args:
    image: [..., height, width, channels], not larger than `padded_hw`.
    padded_hw: height and width of the result; its shape is static if they are numbers.
    value: value of the padding.

  Returns:
    [..., padded_hw[0], padded_hw[1], channels].
  """
  missing = tf.convert_to_tensor(padded_hw, tf.int32) - tf.shape(image)[-3:-1]
  leading = image.shape.rank - 3
  paddings = [[0, 0]] * leading + [[0, missing[0]], [0, missing[1]], [0, 0]]
  padded = tf.pad(image, paddings, constant_values=tf.cast(value, image.dtype))
  static_hw = [None, None] if tf.is_tensor(padded_hw) else list(padded_hw)
  return tf.ensure_shape(padded, image.shape[:leading] + static_hw + image.shape[-1:])


def image_info(
  original_hw: tf.Tensor,
  scaled_hw: tf.Tensor,
  visible_hw: tf.Tensor | None = None,
  offset: tf.Tensor | None = None,
) -> tf.Tensor:
  """Position of an image in the network input.

  Args:
    original_hw: [2] height and width of the stored image.
    scaled_hw: [2] height and width after resizing.
    visible_hw: [2] height and width of the visible part; by default `scaled_hw`.
    offset: [2] first visible row and column of the resized image; by default 0, 0.

  Returns:
    [4, 2] float32: original (h, w); visible (h, w), which is the scaled size unless the image was
    cropped; scale (y, x) = scaled / original; offset (y, x).
  """
  original_hw = tf.cast(original_hw, tf.float32)
  scaled_hw = tf.cast(scaled_hw, tf.float32)
  visible_hw = scaled_hw if visible_hw is None else tf.cast(visible_hw, tf.float32)
  offset = tf.zeros([2]) if offset is None else tf.cast(offset, tf.float32)
  return tf.stack([original_hw, visible_hw, scaled_hw / original_hw, offset])


def preprocess_image(
  image: tf.Tensor,
  min_size: Side,
  max_size: Side,
  padded_hw: DynamicSize,
  normalization: Normalization = PUBLISHED,
) -> tuple[tf.Tensor, tf.Tensor]:
  """The network input of one image or of a batch of images of one size, and its `image_info`.

  An image that the published rule would make larger than the padded size is shrunk further; it is
  never cropped.

  Args:
    image: [height, width, channels] or [batch, height, width, channels] uint8 or uint16.
    min_size: length of the short side, unless a limit makes it shorter.
    max_size: limit of the long side.
    padded_hw: height and width of the network input.
    normalization: mean and standard deviation of each channel.

  Returns:
    The network input, [padded_h, padded_w, channels] or [batch, padded_h, padded_w, channels]
    float32, and `image_info`, [4, 2] or [batch, 4, 2] float32.
  """
  original_hw = tf.shape(image)[-3:-1]
  size = scaled_size(original_hw, min_size, max_size, padded_hw)
  padded = pad_to(normalize(resize_image(image, size), normalization), padded_hw)
  info = image_info(original_hw, size)
  if image.shape.rank == 4:
    info = tf.tile(info[tf.newaxis], [tf.shape(image)[0], 1, 1])  # [batch, 4, 2]
  return padded, info
