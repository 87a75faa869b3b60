"""Tests of the convolution with symmetric padding against plain loops."""

import numpy as np
import pytest

from htc_tf.modeling.layers.padded_conv import PaddedConv2D


def convolve(image, kernel, stride):
  """Cross-correlation of [h, w, c] with [k, k, c, out], (k - 1) / 2 zeros on every side."""
  size = kernel.shape[0]
  pad = (size - 1) // 2
  padded = np.pad(image, [[pad, pad], [pad, pad], [0, 0]])
  rows = range(0, padded.shape[0] - size + 1, stride)
  columns = range(0, padded.shape[1] - size + 1, stride)
  return np.array(
    [
      [np.einsum('yxc,yxco->o', padded[y : y + size, x : x + size], kernel) for x in columns]
      for y in rows
    ]
  )


@pytest.mark.parametrize('size', [1, 3, 7])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('height,width', [(8, 10), (9, 7)])
def test_equals_a_loop(size, stride, height, width):
  image = np.random.default_rng(0).normal(size=[height, width, 2]).astype(np.float32)
  layer = PaddedConv2D(3, size, strides=stride)
  actual = layer(image[np.newaxis])
  expected = convolve(image, layer.kernel.numpy(), stride)
  assert layer.compute_output_shape([1, height, width, 2]) == actual.shape
  np.testing.assert_allclose(actual[0], expected, rtol=1e-4, atol=1e-5)


def test_the_output_shape_of_unknown_sizes_is_unknown():
  assert PaddedConv2D(3, 3, strides=2).compute_output_shape([None, None, None, 2]).as_list() == [
    None,
    None,
    None,
    3,
  ]
