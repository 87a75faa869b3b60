"""Random noise."""

import tensorflow as tf

from htc_tf.data.augmentation.checks import check_range
from htc_tf.data.augmentation.pixel_change import MAX_VALUE, PixelChange
from htc_tf.data.augmentation.registry import register


@register('noise')
class Noise(PixelChange):
  """Gaussian noise of a random strength, independent for all pixels and channels.

  Args:
    probability: probability that an image is changed, 0..1.
    max_stddev: largest standard deviation, as a share of the range of pixels, 0..1.
  """

  def __init__(self, probability: float, max_stddev: float):
    super().__init__(probability, 'noise')
    check_range(
      max_stddev, 0, 1, 'augmentation.noise.max_stddev', likely_cause='a number of gray levels'
    )
    self._max_stddev = max_stddev

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with noise."""
    strength_seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
    stddev = tf.random.stateless_uniform([], strength_seed, 0.0, self._max_stddev * MAX_VALUE)
    return image + tf.random.stateless_normal(tf.shape(image), noise_seed) * stddev
