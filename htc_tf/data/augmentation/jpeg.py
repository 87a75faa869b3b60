"""Random artifacts of JPEG compression."""

import tensorflow as tf

from htc_tf.data.augmentation.checks import check_range
from htc_tf.data.augmentation.pixel_change import PixelChange
from htc_tf.data.augmentation.registry import register


@register('jpeg')
class Jpeg(PixelChange):
  """Compression as a JPEG file of a random quality; RGB only.

  Args:
    probability: probability that an image is changed, 0..1.
    min_quality: lowest quality, 1..100; the highest is 100.
  """

  needs_rgb = True

  def __init__(self, probability: float, min_quality: int):
    super().__init__(probability, 'jpeg')
    check_range(min_quality, 1, 100, 'augmentation.jpeg.min_quality')
    self._min_quality = int(min_quality)

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image after compression, of integers."""
    quality = tf.random.stateless_uniform([], seed, self._min_quality, 101, tf.int32)
    samples = tf.cast(tf.floor(image + 0.5), tf.uint8)
    encoded = tf.raw_ops.EncodeJpegVariableQuality(images=samples, quality=quality)
    decoded = tf.io.decode_jpeg(encoded, channels=3, dct_method='INTEGER_ACCURATE')
    return tf.cast(decoded, tf.float32)
