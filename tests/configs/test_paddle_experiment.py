"""Tests of the rules that only the experiment for checkpoints of laihuihui/htc has."""

import numpy as np
import tensorflow as tf
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.modeling import factory

MODEL = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco_paddle').task.model


def propose(anchors, deltas):
  """Valid proposals from anchors [n, 4] and deltas [n, 4]."""
  generator = factory.build_roi_generator(MODEL.roi_generator)
  count = len(anchors)
  proposals = generator(
    {'2': tf.constant(deltas, tf.float32, [1, count, 1, 4])},
    {'2': tf.zeros([1, count, 1, 1])},
    {'2': tf.constant(anchors, tf.float32)},
    tf.constant([[100.0, 100.0]]),
  )
  return proposals.boxes[proposals.valid].numpy()


def test_proposals_with_a_side_below_one_pixel_are_dropped():
  anchors = [[0, 0, 1, 5], [10, 10, 10.99, 20], [30, 30, 40, 30.5], [50, 50, 51, 51]]
  boxes = propose(anchors, np.zeros([4, 4]))
  assert sorted(boxes.tolist()) == [[0, 0, 1, 5], [50, 50, 51, 51]]


def test_proposals_may_shrink_without_a_bound_but_not_grow():
  # 300 * exp(-5) is 2 px; with a lower bound of 1 / 62.5 it would be 4.8 px. exp(9) is bounded.
  shrunk, grown = propose([[-100, 0, 200, 10], [20, 20, 21, 21]], [[0, 0, -5, 0], [0, 0, 9, 0]])
  heights = sorted([shrunk[2] - shrunk[0], grown[2] - grown[0]])
  np.testing.assert_allclose(heights, [300 * np.exp(-5), 20.5 + 31.25], rtol=1e-5)


def test_the_other_rules_are_those_of_laihuihui_htc():
  assert MODEL.cascade.stages[2].box_coder_weights == [30.0, 30.0, 15.0, 15.0]
  assert MODEL.roi_aligner.get().level_rule == 'paddle'
  assert not MODEL.cascade.match_low_quality
  assert MODEL.detection_generator.mask_ensemble == 'mean'
