"""Random mirroring of images."""

import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation, PlacementPlan
from htc_tf.data.augmentation.checks import check_probability
from htc_tf.data.augmentation.registry import register


@register('flip')
class Flip(Augmentation):
  """Random mirroring along one axis, both or none.

  Args:
    horizontal: probability of mirroring left and right, 0..1.
    vertical: probability of mirroring top and bottom, 0..1.
  """

  def __init__(self, horizontal: float, vertical: float):
    check_probability(horizontal, 'augmentation.flip.horizontal')
    check_probability(vertical, 'augmentation.flip.vertical')
    self._probabilities = (vertical, horizontal)

  def change_plan(self, plan: PlacementPlan, seed: tf.Tensor) -> PlacementPlan:
    """The plan, mirrored along each axis with its probability."""
    flips = tf.random.stateless_uniform([2], seed) < tf.constant(self._probabilities, tf.float32)
    return plan._replace(flip_yx=tf.not_equal(plan.flip_yx, flips))
