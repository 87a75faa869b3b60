"""Random turns of images by multiples of 90 degrees."""

import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation, PlacementPlan
from htc_tf.data.augmentation.checks import check_probability
from htc_tf.data.augmentation.registry import register

# A turn transposes or not, and then mirrors rows and columns or not. Entry k is that of k * 90
# degrees counterclockwise, as in `numpy.rot90`.
_TRANSPOSE = (False, True, False, True)
_FLIP_YX = ((False, False), (True, False), (True, True), (False, True))


@register('rotate90')
class Rotate90(Augmentation):
  """Random turn by 90, 180 or 270 degrees, all equally likely.

  Args:
    probability: probability that an image is turned, 0..1.
  """

  def __init__(self, probability: float):
    check_probability(probability, 'augmentation.rotate90.probability')
    self._probability = probability

  def change_plan(self, plan: PlacementPlan, seed: tf.Tensor) -> PlacementPlan:
    """The plan, turned with the probability."""
    if not self._probability:
      return plan
    choice, turn = tf.unstack(tf.random.stateless_uniform([2], seed))
    quarters = tf.minimum(1 + tf.cast(turn * 3, tf.int32), 3)
    return turned(plan, tf.where(choice < self._probability, quarters, 0))


def turned(plan: PlacementPlan, quarters: tf.Tensor) -> PlacementPlan:
  """The plan followed by a turn.

  Args:
    plan: plan of the placement.
    quarters: [] int32, number of counterclockwise turns by 90 degrees, 0..3.
  """
  transpose = tf.constant(_TRANSPOSE)[quarters]
  # Transposing after mirroring equals mirroring of the other axes after transposing.
  flip_yx = tf.where(transpose, tf.reverse(plan.flip_yx, [0]), plan.flip_yx)
  return plan._replace(
    flip_yx=tf.not_equal(flip_yx, tf.constant(_FLIP_YX)[quarters]),
    transpose=tf.not_equal(tf.convert_to_tensor(plan.transpose), transpose),
  )
