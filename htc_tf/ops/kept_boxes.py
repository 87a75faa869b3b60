"""Boxes that survive non-maximum suppression."""

from typing import NamedTuple

import tensorflow as tf

# Score of rows that do not take part: below every other score.
EXCLUDED = -1e30


class KeptBoxes(NamedTuple):
  """Boxes that survive suppression, best score first.

  Attributes:
    boxes: [batch, max_outputs, 4] yxyx, float32; rows beyond `num_valid` are 0.
    scores: [batch, max_outputs] float32; rows beyond `num_valid` are 0.
    groups: [batch, max_outputs] int32 index of the group; rows beyond `num_valid` are 0.
    num_valid: [batch] int32 number of boxes.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  groups: tf.Tensor
  num_valid: tf.Tensor


def kept_boxes(boxes: tf.Tensor, scores: tf.Tensor, groups: tf.Tensor) -> KeptBoxes:
  """The rows, with zeros where the score is `EXCLUDED`.

  Args:
    boxes: [batch, max_outputs, 4].
    scores: [batch, max_outputs].
    groups: [batch, max_outputs] int32.
  """
  valid = scores > EXCLUDED  # [batch, max_outputs]
  return KeptBoxes(
    tf.where(valid[..., None], boxes, 0.0),
    tf.where(valid, scores, 0.0),
    tf.where(valid, groups, 0),
    tf.reduce_sum(tf.cast(valid, tf.int32), axis=-1),
  )
