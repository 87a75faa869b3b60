"""The table of wasted pixels, against counting by hand."""

import numpy as np
import pytest

from benchmarks import frames
from htc_tf.data.frames import frame_rule


def test_picture_sizes():
  counts = frames.picture_counts()
  assert sum(counts.values()) == 464 and counts[480, 640] == 96
  assert max(max(size) for size in counts) == 640


def test_waste_by_hand():
  sizes = np.array([[32, 64], [64, 32], [32, 60]])
  square = frames.of_rule('square', frame_rule([(64, 64)], (64, 64)), sizes)
  assert square.num_shapes == 1
  assert square.mean == pytest.approx(1 - (2048 + 2048 + 1920) / (3 * 4096))
  assert square.worst == pytest.approx(1 - 1920 / 4096)
  own = frames.of_rule('own', frame_rule([], (64, 64)), sizes)
  assert own.num_shapes == 2
  assert own.mean == pytest.approx(1 - (2048 + 2048 + 1920) / (3 * 2048))


def test_batches_by_hand():
  sizes = np.array([[32, 40]] * 3 + [[40, 32]] * 3)
  row = frames.of_batches(2, sizes)
  assert row.num_shapes == 2
  assert row.mean == row.worst == pytest.approx(1 - 40 / 64)


def test_a_picture_without_a_frame_is_refused():
  with pytest.raises(ValueError, match='does not fit its frame'):
    frames.of_rule('small', frame_rule([(32, 32)], (32, 32)), np.array([[32, 40]]))


def test_frames_of_the_experiments_waste_less_than_15_percent():
  rows = {row.rule: row for row in frames.table()}
  chosen = next(row for name, row in rows.items() if 'COCO_FRAMES' in name)
  assert chosen.mean < 0.15 < rows['one square of 1344'].mean
  assert rows['each picture to a multiple of 32'].mean < 0.15
  assert all(row.mean < 0.15 for name, row in rows.items() if 'batch' in name)
