"""Tests of the feature relay."""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.heads.feature_relay import FeatureRelay


def test_the_map_is_enlarged_with_aligned_corners():
  relay = FeatureRelay(2, 4, 1)
  relay(tf.zeros([1, 4]))
  relay._fc.kernel.assign(np.eye(4))
  found = relay(tf.constant([[0.0, 2.0, 4.0, 6.0]]))  # The map [[0, 2], [4, 6]].
  steps = np.arange(4) / 3
  np.testing.assert_allclose(found[0, ..., 0], 4 * steps[:, None] + 2 * steps, rtol=1e-6)


def test_no_roi_gives_no_map():
  assert FeatureRelay(7, 14, 8)(tf.zeros([0, 16])).shape == [0, 14, 14, 8]
