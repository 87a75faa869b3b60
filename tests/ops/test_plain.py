"""Tests of the choice of plain operations, whose results equal those of the kernels."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import nms, plain, resize
from tests.graph_operations import operation_types


def test_plain_operations_are_required_only_inside_the_context():
  assert not plain.required()
  with plain.only_plain_operations():
    assert plain.required() and plain.without_kernels()
    with plain.only_plain_operations():
      pass
    assert plain.required()
  assert not plain.required() and not plain.without_kernels()


def test_the_context_ends_with_an_error():
  with pytest.raises(ZeroDivisionError), plain.only_plain_operations():
    _ = 1 // 0
  assert not plain.required()


def test_compiled_functions_do_without_kernels_but_may_hold_operations_that_are_not_plain():
  seen = []

  def look():
    seen.append((plain.required(), plain.without_kernels()))
    return tf.constant(0)

  tf.function(look, jit_compile=True, autograph=False)()
  assert seen == [(False, True)]


@pytest.mark.parametrize('shared', [True, False])
def test_suppression_of_plain_operations_equals_that_of_the_kernel(shared):
  rng = np.random.default_rng(4)
  corners = rng.uniform(0, 60, [2, 40, 1 if shared else 3, 2])
  boxes = np.concatenate([corners, corners + rng.uniform(2, 30, corners.shape)], -1)
  boxes, scores = tf.constant(boxes, tf.float32), tf.constant(rng.random([2, 40, 3]), tf.float32)

  def suppress(boxes, scores):
    return nms.grouped_nms(boxes, scores, 0.4, 0.1, 20)

  expected = suppress(boxes, scores)
  with plain.only_plain_operations():
    graph = tf.function(suppress, autograph=False).get_concrete_function(boxes, scores)
  for actual, wanted in zip(graph(boxes, scores), expected):
    np.testing.assert_array_equal(actual, wanted)
  assert not [name for name in operation_types(graph) if 'NonMaxSuppression' in name]


@pytest.mark.parametrize(
  'function', [resize.resize_nearest, resize.resize_align_corners, resize.resize_half_pixel]
)
def test_resize_of_plain_operations_equals_that_of_the_kernel(function):
  x = tf.constant(np.random.default_rng(5).normal(size=[2, 7, 9, 3]), tf.float32)
  expected = function(x, [13, 18])
  with plain.only_plain_operations():
    graph = tf.function(lambda x: function(x, [13, 18]), autograph=False).get_concrete_function(x)
  np.testing.assert_allclose(graph(x), expected, atol=2e-6)
  assert not [name for name in operation_types(graph) if name.startswith('Resize')]
