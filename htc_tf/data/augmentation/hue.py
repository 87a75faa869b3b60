"""Random hue of colors."""

import tensorflow as tf

from htc_tf.data.augmentation.checks import check_range
from htc_tf.data.augmentation.pixel_change import PixelChange
from htc_tf.data.augmentation.registry import register


@register('hue')
class Hue(PixelChange):
  """Rotation of the hue of all pixels by one random angle; RGB only.

  Args:
    probability: probability that an image is changed, 0..1.
    max_turn: largest rotation in either direction, as a share of the color circle, 0..0.5.
  """

  needs_rgb = True

  def __init__(self, probability: float, max_turn: float):
    super().__init__(probability, 'hue')
    check_range(max_turn, 0, 0.5, 'augmentation.hue.max_turn', likely_cause='an angle in degrees')
    self._max_turn = max_turn

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with other colors of the same brightness and saturation."""
    turn = tf.random.stateless_uniform([], seed, -self._max_turn, self._max_turn)
    return tf.image.adjust_hue(image, turn)
