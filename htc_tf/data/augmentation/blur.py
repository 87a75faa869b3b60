"""Random blur of images."""

import math

import tensorflow as tf

from htc_tf.data.augmentation.checks import check_range
from htc_tf.data.augmentation.pixel_change import PixelChange
from htc_tf.data.augmentation.registry import register

_MIN_SIGMA = 1e-3


@register('blur')
class Blur(PixelChange):
  """Gaussian blur of a random width, for any number of channels.

  The kernel ends at three standard deviations; beyond its border the image is mirrored.

  Args:
    probability: probability that an image is changed, 0..1.
    max_sigma: largest standard deviation of the Gaussian in pixels of the network input, 0..20.
  """

  def __init__(self, probability: float, max_sigma: float):
    super().__init__(probability, 'blur')
    check_range(max_sigma, 0, 20, 'augmentation.blur.max_sigma')
    self._max_sigma = max_sigma

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The blurred image."""
    sigma = tf.random.stateless_uniform([], seed, 0.0, self._max_sigma)
    radius = math.ceil(3 * self._max_sigma)
    distances = tf.range(-radius, radius + 1, dtype=tf.float32)
    kernel = tf.exp(-0.5 * (distances / tf.maximum(sigma, _MIN_SIGMA)) ** 2)
    kernel /= tf.reduce_sum(kernel)
    for axis in (0, 1):
      image = _blur_axis(image, kernel, radius, axis)
    return image


def _blur_axis(image: tf.Tensor, kernel: tf.Tensor, radius: int, axis: int) -> tf.Tensor:
  """The image [height, width, channels] blurred along an axis.

  A sum of shifted images takes less time than a convolution with few channels.
  """
  length = tf.shape(image)[axis]
  padded = tf.gather(image, _mirrored(length, radius), axis=axis)
  total = tf.zeros_like(image)
  for shift in range(2 * radius + 1):
    part = padded[shift : shift + length] if axis == 0 else padded[:, shift : shift + length]
    total += kernel[shift] * part
  return total


def _mirrored(length: tf.Tensor, radius: int) -> tf.Tensor:
  """The positions -radius .. length + radius - 1, mirrored at the first and last pixel."""
  period = tf.maximum(2 * (length - 1), 1)
  position = tf.range(-radius, length + radius) % period
  return tf.minimum(tf.minimum(position, period - position), length - 1)
