"""Random contrast of images."""

import tensorflow as tf

from htc_tf.data.augmentation.checks import check_range
from htc_tf.data.augmentation.pixel_change import PixelChange, random_factor
from htc_tf.data.augmentation.registry import register


@register('contrast')
class Contrast(PixelChange):
  """Multiplication of the distance from the mean of the image, for any number of channels.

  The mean is that of each channel.

  Args:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  def __init__(self, probability: float, max_change: float):
    super().__init__(probability, 'contrast')
    check_range(max_change, 0, 1, 'augmentation.contrast.max_change')
    self._max_change = max_change

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with more or less contrast."""
    return tf.image.adjust_contrast(image, random_factor(self._max_change, seed))
