"""Tests of the shares of padding against counting by hand."""

import numpy as np
import pytest

from benchmarks import padding
from htc_tf.data.padding import padding_rule


def test_the_list_of_image_sizes_is_complete():
  counts = padding.image_counts()
  assert sum(counts.values()) == 464 and counts[480, 640] == 96
  assert max(max(size) for size in counts) == 640


def test_padding_by_rule_agrees_with_counting_by_hand():
  sizes = np.array([[32, 64], [64, 32], [32, 60]])
  square = padding.share_of_rule('square', padding_rule([(64, 64)], (64, 64)), sizes)
  assert square.num_shapes == 1
  assert square.mean == pytest.approx(1 - (2048 + 2048 + 1920) / (3 * 4096))
  assert square.worst == pytest.approx(1 - 1920 / 4096)
  multiples = padding.share_of_rule('multiples of 32', padding_rule([], (64, 64)), sizes)
  assert multiples.num_shapes == 2
  assert multiples.mean == pytest.approx(1 - (2048 + 2048 + 1920) / (3 * 2048))


def test_padding_of_batches_agrees_with_counting_by_hand():
  sizes = np.array([[32, 40]] * 3 + [[40, 32]] * 3)
  row = padding.share_of_batches(2, sizes)
  assert row.num_shapes == 2
  assert row.mean == row.worst == pytest.approx(1 - 40 / 64)


def test_an_image_that_is_larger_than_every_bucket_is_an_error():
  with pytest.raises(ValueError, match='is larger than its bucket'):
    padding.share_of_rule('small', padding_rule([(32, 32)], (32, 32)), np.array([[32, 40]]))


def test_less_than_15_percent_is_padding_with_the_buckets_of_the_experiments():
  rows = {row.rule: row for row in padding.table()}
  chosen = next(row for name, row in rows.items() if 'COCO_BUCKETS' in name)
  assert chosen.mean < 0.15 < rows['one square of 1344'].mean
  assert rows['each image to a multiple of 32'].mean < 0.15
  assert all(row.mean < 0.15 for name, row in rows.items() if 'batch' in name)
