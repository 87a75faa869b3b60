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
    (t.YX_DELTAS, (3, 12)),
    (t.YX_DELTAS, (4,)),
    (t.BACKGROUND_FIRST, (3, 5)),
    (t.BACKGROUND_FIRST, (5,)),
    (t.POINTWISE, (5, 4, 1, 1)),
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


def test_deltas_are_swapped_per_anchor():
  np.testing.assert_array_equal(t.YX_DELTAS.apply(numbered(8)), [1, 0, 3, 2, 5, 4, 7, 6])


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
