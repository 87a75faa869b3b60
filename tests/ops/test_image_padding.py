"""Tests of the sizes of images after padding."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import image_padding


@pytest.mark.parametrize('dtype', [tf.int32, tf.float32])
@pytest.mark.parametrize(
  'divisor, expected', [(32, [[32, 64], [800, 1088]]), (64, [[64, 64], [832, 1088]])]
)
def test_sides_are_rounded_up_to_multiples(divisor, expected, dtype):
  shapes = tf.constant([[1, 64], [800, 1066]], dtype)
  np.testing.assert_array_equal(image_padding.padded_alone(shapes, divisor), expected)


def test_no_image_has_no_size():
  assert image_padding.padded_alone(tf.zeros([0, 2])).shape == (0, 2)
