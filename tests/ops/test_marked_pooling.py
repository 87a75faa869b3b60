"""Tests of RoIAlign as a mark in the graph, with RoIAlign computed in its place."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import marked_pooling, plain, roi_pooling
from htc_tf.ops.roi_view import View
from tests.graph_operations import operation_types

_SIZES = {'fine': (24, 32), 'coarse': (12, 16)}


def _maps():
  rng = np.random.default_rng(0)
  return {
    name: tf.constant(rng.normal(size=[1, *size, 5]), tf.float32) for name, size in _SIZES.items()
  }


def _rois():
  corners = np.random.default_rng(1).uniform(-30, 100, [20, 2, 2])
  corners.sort(axis=1)
  rois = corners.reshape(1, 20, 4)
  rois[0, 1] = -1  # A padding row.
  rois[0, 2] = [40, 50, 40, 90]  # No height.
  rois[0, 3] = [200, 300, 260, 390]  # Outside.
  rois[0, 4] = [65, 0, 90, 1e-8]  # A width that is rounded to 0 where pixel centers are at 0.
  return tf.constant(rois, tf.float32)


def _views():
  """Each RoI from a map by chance, and all from the coarse map with finer bins."""
  chosen = np.random.default_rng(2).integers(0, 2, 20)
  both = View(tf.constant(chosen, tf.int32), tf.constant(4.0 * 2.0**chosen, tf.float32), (0, 1))
  coarse = View(tf.ones([20], tf.int32), tf.fill([20], 8.0), (1,), 2)
  return [both, coarse]


def _pool(maps, size):
  return roi_pooling.pool(roi_pooling.feature_table(maps), _rois(), _views(), size)


def _roi_align(features, boxes, images, size):
  """What ONNX computes in the place of a mark: boxes are xyxy in pixels of the map."""
  np.testing.assert_array_equal(images, np.zeros(boxes.shape[0]))
  table = roi_pooling.feature_table({'map': features})
  view = roi_pooling.single_map(table, 'map', 1.0, boxes.shape[0])
  rois = tf.gather(boxes, [1, 0, 3, 2], axis=1)[tf.newaxis]
  pooled = roi_pooling.sparse_pooling.pool(
    table.pixels, roi_pooling._map_shapes([features]), rois, [view], size
  )
  return tf.reshape(pooled, [-1, size, size, features.shape[-1]])


@pytest.mark.parametrize('size', [1, 3])
def test_marks_are_roi_align_of_each_map(size, monkeypatch):
  monkeypatch.setattr(marked_pooling, '_mark', _roi_align)
  maps = _maps()
  with plain.only_plain_operations(), plain.marked_roi_align():
    marked = marked_pooling.pool(list(maps.values()), _rois(), _views(), size)
  np.testing.assert_allclose(marked, _pool(maps, size)[0], atol=2e-6)


def test_rois_without_extent_are_read_outside_of_the_map(monkeypatch):
  boxes = []
  monkeypatch.setattr(
    marked_pooling, '_mark', lambda *args: boxes.append(args[1].numpy()) or _roi_align(*args)
  )
  marked_pooling.pool(list(_maps().values()), _rois(), _views(), 2)
  assert len(boxes) == 3  # Two maps of the first view, one of the second.
  for read in boxes:
    extents = (read[:, 2:] - 0.5) - (read[:, :2] - 0.5)
    assert (extents > 0).all()
    assert (read[[1, 2, 4]] < -1).all()
  own = np.stack([(read[5:] > -8).any(1) for read in boxes])
  np.testing.assert_array_equal(own.sum(0), 2)  # Of one map in each view.


def _traced(*contexts):
  maps = _maps()
  function = tf.function(lambda: _pool(maps, 2), autograph=False)
  for context in contexts:
    context.__enter__()
  try:
    return function.get_concrete_function()
  finally:
    for context in reversed(contexts):
      context.__exit__(None, None, None)


def test_a_graph_holds_marks_instead_of_a_loop_only_in_both_contexts():
  marked = _traced(plain.only_plain_operations(), plain.marked_roi_align())
  types = operation_types(marked)
  assert marked_pooling.OPERATION in types
  assert not {name for name in types if 'While' in name}
  marks = [node for node in marked.graph.as_graph_def().node if node.op == marked_pooling.OPERATION]
  assert {node.attr['extrapolation_value'].f for node in marks} == {marked_pooling.MARK}
  assert marked.structured_outputs.shape == [1, 20, 2, 2, 5]
  for context in (plain.only_plain_operations, plain.marked_roi_align):
    assert marked_pooling.OPERATION not in operation_types(_traced(context()))
