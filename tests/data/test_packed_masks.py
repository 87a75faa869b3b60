"""Tests of bit-packed masks against numpy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import packed_masks


@pytest.mark.parametrize('shape', [(5, 24), (3, 7, 16), (0, 4, 8)])
def test_pack_is_numpy_packbits_and_unpack_its_inverse(shape):
  masks = np.random.default_rng(4).integers(0, 2, shape, dtype=np.uint8)
  packed = packed_masks.pack(tf.constant(masks))
  np.testing.assert_array_equal(packed, np.packbits(masks, axis=-1))
  np.testing.assert_array_equal(packed_masks.unpack(packed), masks)


def test_unknown_leading_sizes_in_a_graph():
  signature = [tf.TensorSpec([None, None, 16], tf.bool)]
  packed = tf.function(packed_masks.pack, signature).get_concrete_function()
  assert packed.output_shapes.as_list() == [None, None, 2]
