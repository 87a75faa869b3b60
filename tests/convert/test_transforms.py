"""Tests of the changes of layout, with cases computed by hand and with their inverses."""

import numpy as np
import pytest

from htc_tf.convert import transforms as t


def numbered(*shape):
  return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
  'step,shape',
  [
    (t.CONV, (5, 4, 3, 2)),
    (t.LINEAR, (5, 4)),
    (t.FLAT_ROI, (3 * 49, 5)),
    (t.flat_roi(14), (3 * 14 * 14, 5)),
    (t.flat_roi(2), (3 * 4, 5)),
    (t.YX_DELTAS, (3, 12)),
    (t.YX_DELTAS, (4,)),
    (t.BACKGROUND_FIRST, (3, 5)),
    (t.BACKGROUND_FIRST, (5,)),
    (t.POINTWISE, (5, 4, 1, 1)),
    (t.MERGED, (5, 12)),
    (t.MERGED, (12,)),
  ],
)
def test_revert_is_the_inverse_of_apply(step, shape):
  np.testing.assert_array_equal(step.revert(step.apply(numbered(*shape))), numbered(*shape))


def test_convolution_weights_are_transposed():
  weight = numbered(5, 4, 3, 2)
  assert t.CONV.apply(weight)[2, 1, 3, 4] == weight[4, 3, 2, 1]


def test_flattened_rois_get_their_channels_last():
  weight = numbered(3 * 49, 5)  # Row: (channel * 7 + y) * 7 + x.
  assert t.FLAT_ROI.apply(weight)[(4 * 7 + 6) * 3 + 2, 1] == weight[(2 * 7 + 4) * 7 + 6, 1]


@pytest.mark.parametrize('crop_size', [2, 7, 14])
def test_both_weights_give_the_same_product_with_the_flattened_features(crop_size):
  rng = np.random.default_rng(0)
  features = rng.normal(size=[3, crop_size, crop_size])  # [channel, y, x]
  weight = rng.normal(size=[features.size, 4])
  expected = features.ravel() @ weight
  converted = t.flat_roi(crop_size).apply(weight)
  channels_last = np.moveaxis(features, 0, -1).ravel()  # [y, x, channel]
  np.testing.assert_allclose(channels_last @ converted, expected)


def test_deltas_are_swapped_per_anchor():
  np.testing.assert_array_equal(t.YX_DELTAS.apply(numbered(8)), [1, 0, 3, 2, 5, 4, 7, 6])


def test_merged_neighbors_are_ordered_by_column_row_and_channel():
  channel, y, x = 2, 0, 1
  merged = t.MERGED.apply(numbered(5, 3 * 4))
  assert merged[4, (x * 2 + y) * 3 + channel] == numbered(5, 3 * 4)[4, (channel * 2 + y) * 2 + x]


def test_the_background_becomes_the_first_class():
  np.testing.assert_array_equal(t.BACKGROUND_FIRST.apply(numbered(4)), [3, 0, 1, 2])


def test_steps_are_applied_in_order_and_reverted_backwards():
  weight = numbered(2, 3)
  steps = (t.LINEAR, t.BACKGROUND_FIRST)
  np.testing.assert_array_equal(t.apply(steps, weight), [[3, 0], [4, 1], [5, 2]])
  np.testing.assert_array_equal(t.revert(steps, t.apply(steps, weight)), weight)


def test_a_wrong_rank_is_a_value_error():
  with pytest.raises(ValueError, match='axes'):
    t.apply((t.CONV,), numbered(3, 4))


def test_a_flattened_map_gets_its_channels_last():
  """Entry c, y, x of the published map is 100 c + 10 y + x."""
  step = t.flat_map(2)
  published = np.array([[0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211]])
  expected = [[0, 100, 200, 1, 101, 201, 10, 110, 210, 11, 111, 211]]
  np.testing.assert_array_equal(step.apply(published), expected)
  np.testing.assert_array_equal(step.revert(step.apply(published)), published)
  np.testing.assert_array_equal(step.apply(published[0]), expected[0])
