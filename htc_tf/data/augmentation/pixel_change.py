"""The base class of augmentations that change the pixels of some images."""

import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.augmentation.checks import check_probability, check_range

MAX_VALUE = 255.0


class PixelChange(Augmentation):
  """Random change of pixels; a subclass defines `change`.

  Args:
    probability: probability that an image is changed, 0..1; with 0 nothing is computed.
    name: name of the augmentation in the configuration, for messages.
  """

  def __init__(self, probability: float, name: str):
    check_probability(probability, f'augmentation.{name}.probability')
    self._probability = probability

  @property
  def is_active(self) -> bool:
    """Whether an image can be changed."""
    return self._probability > 0

  def change_pixels(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image, changed with the probability, with values of 0..255."""
    if not self.is_active:
      return image
    choice_seed, change_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
    chosen = tf.random.stateless_uniform([], choice_seed) < self._probability

    def changed() -> tf.Tensor:
      return tf.clip_by_value(self.change(image, change_seed), 0.0, MAX_VALUE)

    return tf.ensure_shape(tf.cond(chosen, changed, lambda: image), image.shape)

  def change(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The changed image; values outside the range of pixels are clipped afterwards.

    Args:
      image: [height, width, channels] float32, 0..255.
      seed: [2] seed of the random strength.
    """
    del seed
    return image


class FactorChange(PixelChange):
  """Random change by a factor around 1; a subclass defines `change`.

  Args:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
    name: name of the augmentation in the configuration, for messages.
  """

  def __init__(self, probability: float, max_change: float, name: str):
    super().__init__(probability, name)
    check_range(max_change, 0, 1, f'augmentation.{name}.max_change')
    self._max_change = max_change

  def factor(self, seed: tf.Tensor) -> tf.Tensor:
    """A random factor, [] float32.

    Args:
      seed: [2] seed of the factor.
    """
    return tf.random.stateless_uniform([], seed, 1 - self._max_change, 1 + self._max_change)
