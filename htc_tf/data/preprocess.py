"""From a uint8 image to the network input: the published resize rule, normalisation, padding.

Training, prediction and serving call these functions, so that the three see the same pixels. They
take a single image [height, width, 3] or a batch [batch, height, width, 3] of one size, static or
not, eagerly and in graphs.
"""

import tensorflow as tf

from htc_tf.data.frames import Frame

# A length in pixels: a number, or a tensor [] where training draws it.
Side = int | tf.Tensor

IMAGE_MEAN = (123.675, 116.28, 103.53)
IMAGE_STDDEV = (58.395, 57.12, 57.375)


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes a JPEG, PNG, BMP or (first frame of a) GIF.

  JPEG is decoded with the accurate transform, as OpenCV and PIL do; TensorFlow's default is the
  fast one, which is off by up to 3 grey levels at most pixels.

  Args:
    encoded: [] string, the bytes of the file.

  Returns:
    [height, width, 3] uint8 RGB.
  """
  image = tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method='INTEGER_ACCURATE'),
    lambda: tf.io.decode_image(encoded, channels=3, dtype=tf.uint8, expand_animations=False),
  )
  image.set_shape([None, None, 3])
  return image


def resize_scale(
  image_hw: tf.Tensor, min_size: Side, max_size: Side, frame_hw: Frame | None = None
) -> tf.Tensor:
  """The factor of the published rule: min(max_size / long side, min_size / short side).

  Args:
    image_hw: [2] height and width in original pixels.
    min_size: target of the short side.
    max_size: limit of the long side.
    frame_hw: if given, the factor is lowered until the result fits this height and width.

  Returns:
    [] float64, the precision in which the published rule rounds.
  """
  image_hw = tf.cast(image_hw, tf.float64)
  scale = tf.minimum(
    tf.cast(max_size, tf.float64) / tf.reduce_max(image_hw),
    tf.cast(min_size, tf.float64) / tf.reduce_min(image_hw),
  )
  if frame_hw is not None:
    scale = tf.minimum(scale, tf.reduce_min(tf.cast(frame_hw, tf.float64) / image_hw))
  return scale


def apply_scale(image_hw: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
  """The resized height and width, [2] int32: int(side * scale + 0.5), at least 1."""
  sides = tf.cast(image_hw, tf.float64) * scale + 0.5
  return tf.maximum(tf.cast(tf.floor(sides), tf.int32), 1)


def scaled_size(
  image_hw: tf.Tensor, min_size: Side, max_size: Side, frame_hw: Frame | None = None
) -> tf.Tensor:
  """The size an image is resized to by the published rule.

  Args:
    image_hw: [2] height and width in original pixels.
    min_size: target of the short side.
    max_size: limit of the long side.
    frame_hw: if given, the size is lowered, keeping the aspect ratio, until it fits this frame.

  Returns:
    [2] int32 height and width.
  """
  return apply_scale(image_hw, resize_scale(image_hw, min_size, max_size, frame_hw))


def resize_image(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Resizes as OpenCV does on uint8: bilinear, half-pixel centres, no antialiasing, rounded.

  Args:
    image: [..., height, width, 3] uint8.
    size: [2] int32 target height and width.

  Returns:
    [..., size[0], size[1], 3] float32 holding integers 0..255.
  """
  return tf.floor(tf.image.resize(image, size, method='bilinear', antialias=False) + 0.5)


def normalize(image: tf.Tensor) -> tf.Tensor:
  """(image - IMAGE_MEAN) / IMAGE_STDDEV in float32; image: [..., width, 3] RGB 0..255.

  Works on whole rows: broadcasting over three channels alone takes three times as long.
  """
  width = tf.shape(image)[-2]
  rows = tf.reshape(tf.cast(image, tf.float32), [-1, width * 3])
  mean, deviation = (tf.tile(tf.constant(x), [width]) for x in (IMAGE_MEAN, IMAGE_STDDEV))
  normalized = tf.reshape((rows - mean) / deviation, tf.shape(image))
  return tf.ensure_shape(normalized, image.shape)


def pad_to(image: tf.Tensor, frame_hw: Frame, value: float = 0) -> tf.Tensor:
  """Pads below and on the right up to a frame.

  Args:
    image: [..., height, width, channels], not larger than the frame.
    frame_hw: height and width of the result; numbers make its shape static.
    value: what the padding holds.

  Returns:
    [..., frame_hw[0], frame_hw[1], channels].
  """
  missing = tf.convert_to_tensor(frame_hw, tf.int32) - tf.shape(image)[-3:-1]
  leading = image.shape.rank - 3
  paddings = [[0, 0]] * leading + [[0, missing[0]], [0, missing[1]], [0, 0]]
  padded = tf.pad(image, paddings, constant_values=tf.cast(value, image.dtype))
  static_hw = [None, None] if tf.is_tensor(frame_hw) else list(frame_hw)
  return tf.ensure_shape(padded, image.shape[:leading] + static_hw + image.shape[-1:])


def image_info(
  original_hw: tf.Tensor,
  scaled_hw: tf.Tensor,
  visible_hw: tf.Tensor | None = None,
  offset: tf.Tensor | None = None,
) -> tf.Tensor:
  """How an image was placed in the frame.

  Args:
    original_hw: [2] height and width of the stored image.
    scaled_hw: [2] height and width after resizing.
    visible_hw: [2] the part of it in the frame; by default all of it.
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
  image: tf.Tensor, min_size: Side, max_size: Side, frame_hw: Frame
) -> tuple[tf.Tensor, tf.Tensor]:
  """Resizes, normalises and pads one image or a batch of images of one size.

  An image that the published rule would make larger than the frame is scaled down further until
  it fits; it is never cropped.

  Args:
    image: [height, width, 3] or [batch, height, width, 3] uint8 RGB.
    min_size: target of the short side.
    max_size: limit of the long side.
    frame_hw: height and width of the network input.

  Returns:
    The network input, [frame_h, frame_w, 3] or [batch, frame_h, frame_w, 3] float32, and
    image_info, [4, 2] or [batch, 4, 2] float32 (see `image_info`).
  """
  original_hw = tf.shape(image)[-3:-1]
  size = scaled_size(original_hw, min_size, max_size, frame_hw)
  padded = pad_to(normalize(resize_image(image, size)), frame_hw)
  info = image_info(original_hw, size)
  if image.shape.rank == 4:
    info = tf.tile(info[tf.newaxis], [tf.shape(image)[0], 1, 1])  # [batch, 4, 2]
  return padded, info
