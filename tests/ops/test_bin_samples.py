"""Tests of the sampling of RoIAlign along one axis against a plain loop."""

import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import bin_samples


def _loop_weights(begin, end, stride, num_bins, size):
  """Weights of the pixels of a map in the bins of one RoI, sample by sample."""
  weights = np.zeros([num_bins, size])
  start, bin_size = begin / stride - 0.5, (end - begin) / stride / num_bins
  count = math.ceil(bin_size)
  for row in range(num_bins):
    for step in range(count):
      position = start + row * bin_size + (step + 0.5) * bin_size / count
      if -1 <= position <= size:
        position = min(max(position, 0), size - 1)
        low = min(int(position), size - 2)
        weights[row, low] += (low + 1 - position) / count
        weights[row, low + 1] += (position - low) / count
  return weights


@pytest.mark.parametrize(
  'begin, end', [(3, 30), (-20, 11), (60, 200), (90, 95), (0, 80), (12, 12.5)]
)
def test_weights_equal_a_loop_over_samples(begin, end):
  begins, ends = tf.constant([begin], tf.float32), tf.constant([end], tf.float32)
  samples = bin_samples.axis_samples(begins, ends, 8.0, 3, 10)
  weights = bin_samples.pixel_weights(samples, 0, 10)[0]
  np.testing.assert_allclose(weights, _loop_weights(begin, end, 8.0, 3, 10), atol=1e-6)


def test_weights_of_some_pixels_are_a_slice_of_all_weights():
  samples = bin_samples.axis_samples(tf.constant([3.0]), tf.constant([9.0]), 1.0, 4, 12)
  weights = bin_samples.pixel_weights(samples, 0, 12)
  np.testing.assert_array_equal(bin_samples.pixel_weights(samples, 2, 7), weights[..., 2:9])


@pytest.mark.parametrize('begin, end', [(5, 5), (-1, -1), (9, 4)])
def test_an_roi_without_extent_has_no_samples(begin, end):
  begins, ends = tf.constant([begin], tf.float32), tf.constant([end], tf.float32)
  samples = bin_samples.axis_samples(begins, ends, 4.0, 7, 10)
  assert samples.counts[0] == 0
  assert not np.any(bin_samples.pixel_weights(samples, 0, 10))


@pytest.mark.parametrize('jit_compile', [False, True])
def test_bins_of_whole_pixels_take_no_extra_sample_when_traced(jit_compile):
  lengths = tf.range(1.0, 200.0)

  @tf.function(jit_compile=jit_compile, autograph=False)
  def counts(num_bins):
    return bin_samples.axis_samples(tf.zeros_like(lengths), lengths, 1.0, num_bins, 10).counts

  for num_bins in (7, 14, 28):  # Python numbers, which the graph optimizers treat as constants.
    np.testing.assert_array_equal(counts(num_bins), -(-lengths.numpy().astype(int) // num_bins))


def test_without_rois_the_weights_are_empty():
  samples = bin_samples.axis_samples(tf.zeros([0]), tf.zeros([0]), 4.0, 7, 10)
  assert bin_samples.pixel_weights(samples, 0, 10).shape == (0, 7, 10)
