"""Tests of the generalized IoU loss against NumPy and hand-computed cases."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.losses.giou import giou_loss


@pytest.mark.parametrize(
  'box,target,expected',
  [
    ([0, 0, 2, 3], [0, 0, 2, 3], 0.0),
    ([0, 0, 2, 2], [0, 1, 2, 3], 1 - 1 / 3),  # The enclosing box is the union.
    ([0, 0, 1, 1], [0, 3, 1, 4], 1 + 2 / 4),  # Two pixels of the enclosing four are empty.
    ([0, 0, 1, 1], [1, 1, 2, 2], 1 + 2 / 4),
    ([0, 0, 0, 0], [0, 0, 0, 0], 1.0),
  ],
)
def test_hand_computed_cases(box, target, expected):
  loss = giou_loss(tf.constant([box], tf.float32), tf.constant([target], tf.float32))
  np.testing.assert_allclose(loss, [expected], atol=1e-6)


def reference(box, target):
  """1 - GIoU by the formula, with areas of rectangles."""
  height = max(min(box[2], target[2]) - max(box[0], target[0]), 0)
  width = max(min(box[3], target[3]) - max(box[1], target[1]), 0)
  areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, target)]
  union = sum(areas) - height * width
  hull_height = max(box[2], target[2]) - min(box[0], target[0])
  hull_width = max(box[3], target[3]) - min(box[1], target[1])
  hull = hull_height * hull_width
  return 1 - (height * width / union - (hull - union) / hull)


def test_random_boxes_agree_with_the_formula():
  rng = np.random.default_rng(0)
  corners = rng.uniform(0, 100, [2, 50, 2])
  boxes, targets = np.concatenate([corners, corners + rng.uniform(1, 60, corners.shape)], -1)
  expected = [reference(box, target) for box, target in zip(boxes, targets)]
  np.testing.assert_allclose(giou_loss(boxes, targets), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_pulls_a_distant_box_to_its_target():
  box = tf.Variable([[0.0, 0.0, 1.0, 1.0]])
  with tf.GradientTape() as tape:
    loss = giou_loss(box, tf.constant([[0.0, 3.0, 1.0, 4.0]]))
  assert tape.gradient(loss, box).numpy()[0, 3] < 0  # The right side moves to the right.
