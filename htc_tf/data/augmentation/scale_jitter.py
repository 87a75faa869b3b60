"""Random scaling of images, followed by a random crop if an image becomes too large."""

import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation, PlacementPlan
from htc_tf.data.augmentation.registry import register
from htc_tf.errors import ConfigError


@register('scale_jitter')
class ScaleJitter(Augmentation):
  """Multiplication of the scale by a random factor.

  If both factors are 1, images are shrunk into their padded size instead of cropped to it.

  Args:
    min_factor: smallest factor, above 0.
    max_factor: largest factor.
  """

  def __init__(self, min_factor: float, max_factor: float):
    if not 0 < min_factor <= max_factor:
      raise ConfigError(
        'augmentation.scale_jitter is not a range',
        expected='0 < min_factor <= max_factor',
        got=f'min_factor={min_factor}, max_factor={max_factor}',
      )
    self._range = (min_factor, max_factor)
    self.may_crop = self._range != (1.0, 1.0)

  def change_plan(self, plan: PlacementPlan, seed: tf.Tensor) -> PlacementPlan:
    """The plan with its scale multiplied by the factor."""
    if not self.may_crop:
      return plan
    factor = tf.random.stateless_uniform([], seed, *self._range, tf.float64)
    return plan._replace(scale=plan.scale * factor)
