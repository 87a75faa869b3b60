"""Tests of tables of relative positions for other windows, with values of torch 2's interpolate."""

import numpy as np
import pytest

from htc_tf.convert import position_tables

TABLE = np.random.default_rng(1).normal(size=[13 * 13, 3]).astype(np.float32)
# Every eighth of the rows of the second head, from windows of 7 to windows of 12 and of 3.
TORCH = {
  529: [1.01985, 0.689424, -0.581059, 0.126769, -0.746653, -0.711573, 0.273638, 0.247579, 1.500203],
  25: [
    -0.681453,
    0.35202,
    0.584047,
    -0.814401,
    -0.746653,
    -0.850985,
    0.180708,
    -0.279662,
    0.245442,
  ],
}


@pytest.mark.parametrize('num_rows', TORCH)
def test_tables_are_resized_as_pytorch_does(num_rows):
  found = position_tables.resized(TABLE, num_rows)
  assert found.shape == (num_rows, 3) and found.dtype == np.float32
  np.testing.assert_allclose(found[:: num_rows // 8, 1], TORCH[num_rows], rtol=0, atol=5e-6)


def test_a_constant_table_and_the_middle_of_every_table_stay_as_they_are():
  constant = np.full([9, 2], 3.0, np.float32)
  np.testing.assert_allclose(position_tables.resized(constant, 49), 3.0, rtol=1e-6)
  middle = position_tables.resized(TABLE, 529)[529 // 2]
  np.testing.assert_allclose(middle, TABLE[169 // 2], rtol=1e-6)


@pytest.mark.parametrize(
  'path,saved,shape,expected',
  [
    ('backbone/trunk/stages/0/blocks/0/attn/table', (169, 4), (529, 4), True),
    ('backbone/trunk/stages/0/blocks/0/attn/table', (169, 4), (169, 4), False),
    ('backbone/trunk/stages/0/blocks/0/attn/table', (169, 3), (529, 4), False),
    ('backbone/trunk/stages/0/blocks/0/attn/table', (168, 4), (529, 4), False),
    ('backbone/trunk/stages/0/blocks/0/attn/table', (36, 4), (529, 4), False),
    ('backbone/trunk/stages/0/blocks/0/attn/table', (169,), (529, 4), False),
    ('backbone/trunk/stages/0/blocks/0/attn/table', None, (529, 4), False),
    ('backbone/trunk/stages/0/blocks/0/attn/proj/kernel', (9, 4), (25, 4), False),
  ],
)
def test_only_tables_of_windows_with_as_many_heads_are_resized(path, saved, shape, expected):
  assert position_tables.is_of_other_window(path, saved, shape) == expected
