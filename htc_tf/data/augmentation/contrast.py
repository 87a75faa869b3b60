"""Random contrast of images."""

import tensorflow as tf

from htc_tf.data.augmentation.pixel_change import FactorChange
from htc_tf.data.augmentation.registry import register


@register('contrast')
class Contrast(FactorChange):
  """Multiplication of the distance from the mean of the image, for any number of channels.

  The mean is that of each channel.

  Args:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  def __init__(self, probability: float, max_change: float):
    super().__init__(probability, max_change, 'contrast')

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with more or less contrast."""
    return tf.image.adjust_contrast(image, self.factor(seed))
