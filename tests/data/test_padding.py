"""Tests of the padded size of an image; buckets are compared with an exhaustive search."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.padding import padding_rule

SIZES = [(64, 96), (96, 64), (64, 64), (32, 128)]
RULE = padding_rule(SIZES, (128, 128))


def bound_and_padded_size(rule, size):
  size = tf.constant(size)
  bound = rule.bound(size)
  padded = rule.padded_hw(tf.minimum(size, bound), bound)
  return tuple(np.array(bound).tolist()), tuple(np.array(padded).tolist())


@pytest.mark.parametrize('seed', range(30))
def test_the_smallest_bucket_that_holds_the_image_is_chosen(seed):
  height, width = np.random.default_rng(seed).integers(1, 97, 2).tolist()
  holding = [(h, w) for h, w in SIZES if h >= height and w >= width]
  bound, padded = bound_and_padded_size(RULE, (height, width))
  if holding:
    assert bound == padded and bound in holding
    assert bound[0] * bound[1] == min(h * w for h, w in holding)
  else:
    ratios = {(h, w): min(h / height, w / width) for h, w in SIZES}
    assert ratios[bound] == max(ratios.values())


@pytest.mark.parametrize(
  'size,bucket',
  [
    ((64, 64), (64, 64)),
    ((64, 65), (64, 96)),
    ((65, 64), (96, 64)),
    ((32, 97), (32, 128)),
    ((33, 97), (64, 96)),
    ((200, 100), (96, 64)),
    ((20, 400), (32, 128)),
  ],
)
def test_the_bucket_of_a_size(size, bucket):
  assert bound_and_padded_size(RULE, size) == (bucket, bucket)


def test_a_graph_with_an_unknown_size_gives_the_same():
  choose = tf.function(RULE.bound, [tf.TensorSpec([2], tf.int32)], autograph=False)
  for size in ((64, 65), (20, 400), (1, 1)):
    np.testing.assert_array_equal(choose(tf.constant(size)), RULE.bound(tf.constant(size)))


def test_a_single_bucket_is_known_before_the_graph_runs():
  rule = padding_rule([(64, 96)], (128, 128))
  assert rule.bound(tf.constant([500, 1])) == (64, 96)
  assert rule.padded_hw(tf.constant([5, 1]), (64, 96)) == (64, 96)


@pytest.mark.parametrize(
  'size,padded', [((1, 1), (32, 32)), ((32, 33), (32, 64)), ((100, 128), (128, 128))]
)
def test_without_buckets_the_padded_size_is_a_multiple_of_the_divisor(size, padded):
  assert bound_and_padded_size(padding_rule([], (128, 128)), size) == ((128, 128), padded)
  assert bound_and_padded_size(padding_rule([], (128, 128), 64), size)[1] == tuple(
    -(-side // 64) * 64 for side in padded
  )
