"""Tests of residual blocks."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones.residual_block import ResidualBlock

NORM = dict(norm_eval=True, momentum=0.9, epsilon=1e-5)


@pytest.mark.parametrize('values,filters', [
    (dict(bottleneck=False), 8), ({}, 32), (dict(groups=4, width=16), 32),
    (dict(groups=2, deformable=True), 32)])
@pytest.mark.parametrize('stride', [1, 2])
def test_shapes(values, filters, stride):
  block = ResidualBlock(8, stride, NORM, **values)
  x = tf.random.stateless_normal([2, 7, 6, 5], [1, 2])
  expected = [2, -(-7 // stride), -(-6 // stride), filters]
  assert block(x).shape == expected
  assert block.compute_output_shape(x.shape) == expected


def test_starts_as_its_shortcut():
  x = tf.random.stateless_uniform([2, 4, 4, 32], [1, 2])
  block = ResidualBlock(8, 1, NORM)
  np.testing.assert_array_equal(block(x), x)
  assert block.downsample is None


def test_groups_and_width_shape_the_middle_convolution():
  block = ResidualBlock(128, 2, NORM, groups=32, width=256)
  block.build([None, None, None, 256])
  assert block.conv1.kernel.shape == [1, 1, 256, 256]
  assert block.conv2.kernel.shape == [3, 3, 8, 256]
  assert block.conv3.kernel.shape == [1, 1, 256, 512]
  assert [conv.strides for conv in (block.conv1, block.conv2, block.conv3)] == [
      (1, 1), (2, 2), (1, 1)]
  assert block.downsample[0].strides == (2, 2)
