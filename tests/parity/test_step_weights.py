"""Tests of what references store of the weights of reduced models."""

import numpy as np

from parity import step_weights

SHAPES = {'fc.bias': (7,), 'fc.weight': (7, 3), 'tracked': (), 'conv.weight': (5, 4, 3, 1)}


def test_shapes_are_stored_in_rows_of_four():
  arrays = step_weights.shape_arrays(SHAPES)
  assert list(arrays['names']) == list(SHAPES)
  expected = [[7, -1, -1, -1], [7, 3, -1, -1], [-1] * 4, [5, 4, 3, 1]]
  np.testing.assert_array_equal(arrays['shapes'], expected)


def test_stored_shapes_are_read_back():
  assert step_weights.stored_shapes(step_weights.shape_arrays(SHAPES)) == SHAPES
