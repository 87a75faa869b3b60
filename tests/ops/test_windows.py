"""Tests of windows and of the mask of shifted windows, by loops over coordinates."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import windows


def map_of(height, width, channels=2, batch=2):
  size = batch * height * width * channels
  return np.arange(size, dtype=np.float32).reshape(batch, height, width, channels)


@pytest.mark.parametrize('in_graph', [False, True])
@pytest.mark.parametrize('size,expected', [((6, 9), (6, 9)), ((5, 7), (6, 9)), ((1, 1), (3, 3))])
def test_padding_is_zero_and_to_the_right_and_below(size, expected, in_graph):
  pad = windows.pad_to_multiple
  if in_graph:
    signature = tf.TensorSpec([None, None, None, 2])
    pad = tf.function(lambda x: windows.pad_to_multiple(x, 3), [signature], autograph=False)
  x = 1.0 + map_of(*size)
  padded = pad(x) if in_graph else pad(tf.constant(x), 3)
  assert padded.shape == [2, *expected, 2]
  np.testing.assert_array_equal(padded[:, : size[0], : size[1]], x)
  assert np.count_nonzero(padded) == x.size


def test_static_sizes_stay_static():
  signature = tf.TensorSpec([None, 5, None, 2])
  graph = tf.function(lambda x: windows.pad_to_multiple(x, 3), [signature], autograph=False)
  assert graph.get_concrete_function().output_shapes.as_list() == [None, 6, None, 2]


@pytest.mark.parametrize('height,width', [(6, 9), (3, 3), (9, 3)])
def test_windows_hold_their_pixels_row_by_row(height, width):
  x = map_of(height, width)
  expected = [
    [x[image, top + row, left + column] for row in range(3) for column in range(3)]
    for image in range(2)
    for top in range(0, height, 3)
    for left in range(0, width, 3)
  ]
  found = windows.partition(tf.constant(x), 3)
  np.testing.assert_array_equal(found, expected)
  np.testing.assert_array_equal(windows.unite(found, tf.constant(x), 3), x)


@pytest.mark.parametrize('window,shift', [(3, 1), (4, 2), (7, 3)])
@pytest.mark.parametrize('rows,columns', [(1, 1), (2, 3)])
def test_pairs_are_separated_if_only_one_of_the_two_came_from_the_opposite_border(
  window, shift, rows, columns
):
  height, width = rows * window, columns * window
  found = windows.shifted_mask(tf.zeros([2, height, width, 5]), window, shift)
  assert found.shape == [rows * columns, window**2, window**2] and found.dtype == tf.float32
  for number in range(rows * columns):
    top, left = (number // columns) * window, (number % columns) * window
    pixels = [(top + y, left + x) for y in range(window) for x in range(window)]
    for query, (y, x) in enumerate(pixels):
      for key, (other_y, other_x) in enumerate(pixels):
        # Position p of the rolled map is pixel p + shift of the map, or of its opposite border.
        apart = (y + shift >= height) != (other_y + shift >= height) or (
          (x + shift >= width) != (other_x + shift >= width)
        )
        assert found[number, query, key] == (-100 if apart else 0)
