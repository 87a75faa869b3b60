"""Tests of RoIAlign by plain operations against the sparse product, and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import bin_samples, plain, roi_pooling
from htc_tf.ops.roi_view import View
from tests.graph_operations import operation_types

# Pixels of the padded image; the maps have the strides 4 and 8.
_HEIGHT, _WIDTH = 96, 128
_PADDING = [-1.0, -1.0, -1.0, -1.0]


def _maps(batch, channels=5):
  rng = np.random.default_rng(0)
  return {
    name: tf.constant(
      rng.normal(size=[batch, _HEIGHT // stride, _WIDTH // stride, channels]), tf.float32
    )
    for name, stride in (('fine', 4), ('coarse', 8))
  }


def _views(num_rois, rng, subdivision=2):
  """Each RoI from a map by chance, and all from the coarse map with finer bins."""
  chosen = rng.integers(0, 2, num_rois)
  both = View(tf.constant(chosen, tf.int32), tf.constant(4.0 * 2.0**chosen, tf.float32), (0, 1))
  coarse = View(tf.ones([num_rois], tf.int32), tf.fill([num_rois], 8.0), (1,), subdivision)
  return [both, coarse]


def _pool(maps, rois, views, size):
  return roi_pooling.pool(roi_pooling.feature_table(maps), rois, views, size)


def _traced_plainly(maps, rois, views, size):
  with plain.only_plain_operations():
    return tf.function(
      lambda: _pool(maps, rois, views, size), autograph=False
    ).get_concrete_function()


def _rois(batch, num_rois, rng):
  corners = rng.uniform(-30, 100, [batch, num_rois, 2, 2])
  corners.sort(axis=2)
  rois = corners.reshape(batch, num_rois, 4)
  rois[:, 1] = _PADDING
  rois[:, 2] = [0, 0, _HEIGHT, _WIDTH]
  rois[:, 3] = [40, 50, 40, 90]  # No height.
  rois[:, 4] = [30, 60, 20, 70]  # A negative height.
  rois[:, 5] = [200, 300, 260, 390]  # Outside.
  rois[:, 6] = [-90, -80, -40, -30]
  rois[:, 7] = [10, 0, 11, 128]  # Many samples along x, one along y.
  return tf.constant(rois, tf.float32)


@pytest.mark.parametrize('size', [1, 7])
@pytest.mark.parametrize('batch', [1, 3])
def test_pooled_rois_equal_those_of_the_sparse_product(batch, size):
  rng = np.random.default_rng(1)
  maps, rois, views = _maps(batch), _rois(batch, 30, rng), _views(batch * 30, rng)
  graph = _traced_plainly(maps, rois, views, size)
  np.testing.assert_allclose(graph(), _pool(maps, rois, views, size), atol=2e-6)


def test_a_bin_is_the_mean_of_its_bilinear_samples():
  x = tf.reshape(tf.range(24 * 32, dtype=tf.float32), [1, 24, 32, 1])
  view = View(tf.zeros([1], tf.int32), tf.fill([1], 4.0), (0,))
  # In pixels of the map: rows 2 to 6, columns 3 to 5; pixel centers are at integers plus 1/2.
  rois = tf.constant([[[8.0, 12.0, 24.0, 20.0]]])
  pooled = _traced_plainly({'map': x}, rois, [view], 2)()[0, 0, :, :, 0]
  rows, columns = np.array([2.5, 4.5]), np.array([3.0, 4.0])
  np.testing.assert_allclose(pooled, 32 * rows[:, None] + columns, rtol=1e-6)


def test_rois_without_extent_and_padding_rows_are_zero():
  rois = tf.constant([[_PADDING, [40.0, 50.0, 40.0, 90.0]]])
  pooled = _traced_plainly(_maps(1), rois, _views(2, np.random.default_rng(2)), 3)()
  np.testing.assert_array_equal(pooled, np.zeros([1, 2, 3, 3, 5]))


def test_no_rois_give_no_rows():
  pooled = _traced_plainly(_maps(1), tf.zeros([1, 0, 4]), _views(0, np.random.default_rng(2)), 3)()
  assert pooled.shape == [1, 0, 3, 3, 5]


def test_the_graph_holds_neither_sparse_nor_ragged_operations():
  rng = np.random.default_rng(3)
  types = operation_types(_traced_plainly(_maps(1), _rois(1, 9, rng), _views(9, rng), 2))
  assert not [name for name in types if 'Sparse' in name or 'Ragged' in name]


def test_counts_of_samples_do_not_depend_on_the_rounding_of_a_quotient():
  divisors = np.array([1, 3, 7, 14, 28, 56], np.float32)[:, None]
  extents = np.arange(1, 200, dtype=np.float32) * divisors  # Whole numbers of pixels.
  extents = np.stack([extents, np.nextafter(extents, 1e9), np.nextafter(extents, -1)])
  parts = np.broadcast_to(divisors, extents.shape).astype(np.int32).ravel()
  extents = extents.ravel()
  expected = np.ceil(np.maximum(extents / parts.astype(np.float32), 0))  # Correctly rounded.
  for error in (-1, 0, 1):
    counts = tf.constant(np.maximum(expected + error, 0), tf.int32)
    exact = bin_samples._exact_counts(counts, tf.constant(extents), tf.constant(parts))
    np.testing.assert_array_equal(exact, expected)
