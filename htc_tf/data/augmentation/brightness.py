"""Random brightness of images."""

import tensorflow as tf

from htc_tf.data.augmentation.pixel_change import FactorChange
from htc_tf.data.augmentation.registry import register


@register('brightness')
class Brightness(FactorChange):
  """Multiplication of all pixels by a random factor, for any number of channels.

  Args:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  def __init__(self, probability: float, max_change: float):
    super().__init__(probability, max_change, 'brightness')

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The brighter or darker image."""
    return image * self.factor(seed)
