"""Tests of the layer between two stages by hand-computed cases."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones.patch_merging import PatchMerging


def merging_of_numbers(channels=1):
  """A layer that returns the first two values of the normed patches."""
  layer = PatchMerging(channels)
  layer.build([None, None, None, channels])
  layer.reduction.kernel.assign(np.eye(4 * channels, 2 * channels))
  return layer


def test_the_order_is_first_by_column_then_by_row():
  layer = PatchMerging(1)
  layer.build([None, None, None, 1])
  patch = tf.constant([[1.0, 2.0], [3.0, 4.0]])[tf.newaxis, :, :, tf.newaxis]
  normed = (np.array([1, 3, 2, 4]) - 2.5) / np.sqrt(1.25 + 1e-5)
  for first in (0, 2):
    layer.reduction.kernel.assign(np.eye(4)[:, first : first + 2])
    np.testing.assert_allclose(layer(patch)[0, 0, 0], normed[first : first + 2], rtol=1e-5)


@pytest.mark.parametrize('height,width', [(4, 6), (3, 5), (1, 1)])
def test_odd_maps_are_padded_with_zeros(height, width):
  layer = merging_of_numbers(3)
  x = np.random.default_rng(0).normal(size=[2, height, width, 3]).astype(np.float32)
  padded = np.pad(x, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]])
  found = layer(x)
  assert found.shape == [2, -(-height // 2), -(-width // 2), 6]
  np.testing.assert_allclose(found, layer(padded), rtol=1e-5)
