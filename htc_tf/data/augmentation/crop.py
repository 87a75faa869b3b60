"""Random parts of images."""

import math

import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.augmentation.checks import check_probability, check_range
from htc_tf.data.augmentation.registry import register
from htc_tf.errors import ConfigError


@register('crop')
class Crop(Augmentation):
  """Random part of the stored image, which is then resized like a whole image.

  The part has a random share of the area, from `min_area` to 1, and its aspect ratio is that of the
  image times a random factor from 1 / `max_stretch` to `max_stretch`; parts of a large area are
  stretched less, because they must fit. An object that the border cuts gets the box of its visible
  pixels or, without masks, the visible part of its box. It is dropped if less than `min_visible` of
  its pixels (without masks: of its box) is visible.

  Args:
    probability: probability that an image is cropped, 0..1.
    min_area: smallest share of the area of the image, above 0 and at most 1.
    max_stretch: largest factor on the aspect ratio, 1 or more.
    min_visible: smallest visible share of an object that is kept, 0..1.
  """

  def __init__(self, probability: float, min_area: float, max_stretch: float, min_visible: float):
    check_probability(probability, 'augmentation.crop.probability')
    check_range(min_visible, 0, 1, 'augmentation.crop.min_visible', likely_cause='a percentage')
    if not 0 < min_area <= 1:
      raise ConfigError(
        'augmentation.crop.min_area is out of range',
        expected='a number above 0 and up to 1',
        got=repr(min_area),
        likely_cause='a percentage, or a number of pixels',
      )
    check_range(max_stretch, 1, 100, 'augmentation.crop.max_stretch')
    self._probability = probability
    self._min_area = min_area
    self._max_log_stretch = math.log(max_stretch)
    self.may_cut = self.refits_boxes = probability > 0
    self.min_visible = min_visible if self.may_cut else 0.0

  def change_region(self, region: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A part of the region, with the probability; otherwise the region."""
    if not self.may_cut:
      return region
    random = tf.random.stateless_uniform([5], seed, dtype=tf.float64)
    area = self._min_area + random[0] * (1 - self._min_area)
    stretch = tf.exp((2 * random[1] - 1) * self._max_log_stretch)
    height_share = tf.clip_by_value(tf.sqrt(area * stretch), area, 1.0)
    shares = tf.stack([height_share, area / height_share])
    origin, whole = tf.split(region, 2)
    size = tf.cast(tf.math.ceil(shares * tf.cast(whole, tf.float64)), tf.int32)
    size = tf.clip_by_value(size, 1, whole)
    offset = tf.cast(random[2:4] * tf.cast(whole - size + 1, tf.float64), tf.int32)
    return tf.where(random[4] < self._probability, tf.concat([origin + offset, size], 0), region)
