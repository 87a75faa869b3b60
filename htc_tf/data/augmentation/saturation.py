"""Random saturation of colors."""

import tensorflow as tf

from htc_tf.data.augmentation.pixel_change import FactorChange
from htc_tf.data.augmentation.registry import register

# Weights of red, green and blue in the luma of ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


@register('saturation')
class Saturation(FactorChange):
  """Multiplication of the distance of each pixel from its gray value; RGB only.

  Factor 0 gives a gray image. The gray value is the luma of ITU-R BT.601, as in Pillow.

  Args:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  needs_rgb = True

  def __init__(self, probability: float, max_change: float):
    super().__init__(probability, max_change, 'saturation')

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with stronger or weaker colors."""
    factor = self.factor(seed)
    # One matrix product computes factor * pixel + (1 - factor) * gray for all pixels.
    gray = tf.tile(tf.constant(_LUMA)[:, tf.newaxis], [1, 3])  # [3, 3]
    mixture = factor * tf.eye(3) + (1 - factor) * gray
    pixels = tf.matmul(tf.reshape(image, [-1, 3]), mixture)  # [height * width, 3]
    return tf.reshape(pixels, tf.shape(image))
