"""Copies of objects of other images (Ghiasi et al., Simple Copy-Paste, CVPR 2021)."""

import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.augmentation.checks import check_probability, check_range
from htc_tf.data.augmentation.registry import register
from htc_tf.data.pasting import paste_objects

Tensors = dict[str, tf.Tensor]


@register('copy_paste')
class CopyPaste(Augmentation):
  """Pasting of a random subset of the objects of another training image.

  Both images are placed at random by the other augmentations; the objects keep their position in
  the network input, as in the paper, without blending. See `data.pasting` for what happens to
  hidden objects. In the paper an object is dropped if no pixel of it is left; the implementation of
  mmdetection drops those of which at most 300 pixels are left and whose box changes by more than
  10 pixels. The share `min_visible` does not depend on the size of the input.

  Args:
    probability: probability that objects are pasted into an image, 0..1.
    max_objects: largest number of objects pasted into an image.
    min_visible: smallest share of an object that must stay visible for it to be kept, 0..1.
  """

  def __init__(self, probability: float, max_objects: int, min_visible: float):
    check_probability(probability, 'augmentation.copy_paste.probability')
    check_range(max_objects, 1, 10**6, 'augmentation.copy_paste.max_objects')
    check_range(
      min_visible, 0, 1, 'augmentation.copy_paste.min_visible', likely_cause='a percentage'
    )
    self._probability = probability
    self._max_objects = int(max_objects)
    self._min_share = min_visible
    self.combines = self.refits_boxes = probability > 0

  def combine(
    self, placed: Tensors, other: Tensors, max_num_instances: int, seed: tf.Tensor
  ) -> Tensors:
    """The image with some of the objects of the other one, with the probability."""
    if not self.combines:
      return placed
    choice_seed, number_seed, order_seed = tf.unstack(
      tf.random.experimental.stateless_split(seed, 3)
    )
    available = tf.shape(other['classes'])[0]
    most = tf.cast(tf.minimum(available, self._max_objects), tf.float32)
    wanted = 1 + tf.cast(tf.random.stateless_uniform([], number_seed) * most, tf.int32)
    # Objects that would have no row of the ground truth are not pasted.
    room = max_num_instances - tf.shape(placed['classes'])[0]
    number = tf.minimum(tf.minimum(wanted, self._max_objects), room)
    order = tf.argsort(tf.random.stateless_uniform([available], order_seed))
    chosen = tf.sort(order[: tf.maximum(number, 0)])
    pastes = tf.random.stateless_uniform([], choice_seed) < self._probability
    return paste_objects(placed, other, chosen[: tf.where(pastes, available, 0)], self._min_share)
