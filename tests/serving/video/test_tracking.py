"""Tests of the identities of objects from frame to frame."""

import numpy as np
import pytest

from htc_tf.data import mask_codec
from htc_tf.serving.instances import Instances
from htc_tf.serving.video.tracking import MAX_MISSED, Tracker


def _boxes(*objects):
  """Instances without masks: (class, left, top, side) each, best score first."""
  boxes = [[top, left, top + side, left + side] for _, left, top, side in objects]
  return Instances(
    np.array(boxes, np.float32).reshape(-1, 4),
    np.array([label for label, *_ in objects], int),
    np.linspace(0.9, 0.5, len(objects)),
    None,
  )


_NOTHING = _boxes()


def test_an_object_that_moves_keeps_its_number():
  tracker = Tracker()
  assert [tracker.update(_boxes((1, left, 0, 10))) for left in range(0, 60, 4)] == [[1]] * 15


def test_numbers_begin_at_one_in_the_order_of_the_scores():
  tracker = Tracker()
  assert tracker.update(_boxes((1, 0, 0, 5), (2, 20, 0, 5), (1, 40, 0, 5))) == [1, 2, 3]
  assert tracker.update(_boxes((1, 40, 0, 5), (1, 60, 0, 5), (2, 20, 0, 5))) == [3, 4, 2]
  assert tracker.num_tracks == 4


def test_the_threshold_is_included():
  # The boxes 0..20 and 7..27 overlap by 13 of 27; those of 0..13 and 7..20 by 6 of 20 = 0.3.
  for shift, expected in ((7, [1]), (7.1, [2])):
    tracker = Tracker()
    tracker.update(_boxes((1, 0, 0, 13)))
    boxes = np.array([[0, shift, 13, shift + 13]])
    second = Instances(boxes, np.array([1]), np.array([0.9]), None)
    assert tracker.update(second) == expected


def test_crossing_objects_of_different_classes_keep_their_numbers():
  tracker = Tracker()
  for step in range(11):
    left, right = 4 * step, 40 - 4 * step
    assert tracker.update(_boxes((1, left, 0, 12), (2, right, 0, 12))) == [1, 2]


def test_the_best_overlap_comes_first():
  tracker = Tracker()
  tracker.update(_boxes((1, 0, 0, 10), (1, 6, 0, 10)))
  # The first object overlaps both tracks; the second one only the track at 0. The first object is
  # nearer to the track at 6 although the other track is older.
  assert tracker.update(_boxes((1, 5, 0, 10), (1, 1, 0, 10))) == [2, 1]


def test_of_equal_overlaps_the_older_track_and_the_better_score_win():
  tracker = Tracker()
  tracker.update(_boxes((1, 0, 0, 10), (1, 4, 0, 10)))
  assert tracker.update(_boxes((1, 2, 0, 10))) == [1]
  tracker = Tracker()
  tracker.update(_boxes((1, 2, 0, 10)))
  assert tracker.update(_boxes((1, 0, 0, 10), (1, 4, 0, 10))) == [1, 2]


@pytest.mark.parametrize('num_missed, expected', [(MAX_MISSED - 1, [1]), (MAX_MISSED, [2])])
def test_an_object_that_returns_in_time_keeps_its_number(num_missed, expected):
  tracker = Tracker()
  tracker.update(_boxes((1, 0, 0, 10)))
  for _ in range(num_missed):
    assert tracker.update(_NOTHING) == []
  assert tracker.update(_boxes((1, 0, 0, 10))) == expected


def test_a_match_starts_the_count_of_missed_frames_again():
  tracker = Tracker()
  tracker.update(_boxes((1, 0, 0, 10)))
  for _ in range(3):
    for _ in range(MAX_MISSED - 1):
      tracker.update(_NOTHING)
    assert tracker.update(_boxes((1, 0, 0, 10))) == [1]


def test_numbers_are_not_used_again_and_ended_tracks_are_forgotten():
  tracker, found = Tracker(), []
  for number in range(5):
    found += tracker.update(_boxes((1, 100 * number, 0, 10)))
    for _ in range(MAX_MISSED):
      tracker.update(_NOTHING)
    assert not tracker._tracks
  assert found == [1, 2, 3, 4, 5]


def test_another_class_at_the_same_place_is_another_object():
  tracker = Tracker()
  assert tracker.update(_boxes((1, 0, 0, 10))) == [1]
  assert tracker.update(_boxes((2, 0, 0, 10))) == [2]
  assert tracker.update(_boxes((1, 0, 0, 10), (2, 0, 0, 10))) == [1, 2]


def _masks(*rows_of_objects):
  """Instances of one class in one box, whose masks are rows of an image of 10 x 10."""
  masks = np.zeros((len(rows_of_objects), 10, 10), bool)
  for mask, rows in zip(masks, rows_of_objects):
    mask[rows] = True
  boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), [len(masks), 1])
  rles = [mask_codec.encode(mask) for mask in masks]
  return Instances(boxes, np.ones(len(masks), int), np.full(len(masks), 0.9), rles)


def test_masks_decide_where_there_are_masks():
  tracker = Tracker()
  assert tracker.update(_masks([0, 1, 2], [6, 7, 8])) == [1, 2]
  assert tracker.update(_masks([6, 7, 9], [0, 1, 3])) == [2, 1]
  assert tracker.update(_masks([4, 5])) == [3]  # The box is the same, and no pixel of the mask.


def test_empty_masks_match_nothing():
  tracker = Tracker()
  assert [tracker.update(_masks([])) for _ in range(3)] == [[1], [2], [3]]


def test_well_separated_objects_are_assigned_as_by_the_optimal_assignment():
  optimize = pytest.importorskip('scipy.optimize')
  rng = np.random.default_rng(0)
  corners = np.stack(np.meshgrid([0, 40, 80], [0, 40, 80]), -1).reshape(-1, 2).astype(float)
  tracker = Tracker()
  first = np.concatenate([corners, corners + 20], 1)
  tracker.update(Instances(first, np.ones(9, int), np.linspace(0.9, 0.5, 9), None))
  moved = (first + np.tile(rng.uniform(-4, 4, (9, 2)), 2))[rng.permutation(9)]
  ids = tracker.update(Instances(moved, np.ones(9, int), np.linspace(0.9, 0.5, 9), None))
  sides = np.minimum(first[:, None, 2:], moved[None, :, 2:]) - np.maximum(
    first[:, None, :2], moved[None, :, :2]
  )
  shared = np.prod(np.maximum(sides, 0), -1)
  rows, columns = optimize.linear_sum_assignment(shared / (800 - shared), maximize=True)
  assert dict(zip(columns, rows + 1)) == dict(enumerate(ids))
