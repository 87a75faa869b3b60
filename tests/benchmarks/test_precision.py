"""Tests of the count of detections that are found again."""

import types

import numpy as np
import tensorflow as tf

from benchmarks import precision


def _found(classes, columns):
  """Detections whose masks are one row of 100 pixels, set from `first` to `end` of `columns`."""
  masks = np.zeros([len(classes), 1, 100], bool)
  for row, (first, end) in enumerate(columns):
    masks[row, 0, first:end] = True
  return precision.Found(np.array(classes), np.full(len(classes), 0.5), masks)


def test_a_detection_is_found_again_if_class_and_mask_agree():
  exact = _found([1, 1, 2, 3], [(0, 100), (0, 50), (0, 40), (5, 5)])
  other = _found([1, 1, 1, 3], [(0, 95), (3, 50), (0, 40), (7, 7)])
  np.testing.assert_array_equal(precision.found_again(exact, other), [True, False, False, True])


def test_nothing_is_found_among_no_detections():
  exact, none = _found([1], [(0, 9)]), _found([], [])
  assert not precision.found_again(exact, none).any()
  assert precision.found_again(none, exact).shape == (0,)


def test_the_table_counts_detections_from_each_smallest_score():
  exact = precision.Found(np.array([1, 2]), np.array([0.9, 0.1]), np.ones([2, 1, 4], bool))
  other = precision.Found(np.array([1]), np.array([0.9]), np.ones([1, 1, 4], bool))
  last = precision.table([('half', [(exact, other)])], (0.0, 0.3)).splitlines()[-1]
  assert last == '| half | 1 of 2 | 1 of 1 |'


def test_the_times_of_three_precisions_are_in_a_table(monkeypatch):
  precisions, shown = [], []

  def build(name):
    """A model that finds as many objects as the image has rows, and a fourth of them in 16 bits."""
    precisions.append(name)
    share = 1 if name == 'float32' else 4

    def detect(inputs):
      found = {'num_detections': tf.shape(inputs['images'])[1:2] // share}
      return types.SimpleNamespace(to_dict=lambda: found)

    return types.SimpleNamespace(detect=detect)

  monkeypatch.setattr(precision, '_seeded_model', build)
  assert precision.main(['--size=64x96', '--runs=2'], shown.append) == 0
  header, *rows = [line.split() for line in shown[0].splitlines()]
  assert header[0] == 'precision'
  assert precisions == ['float32', 'bfloat16', 'bfloat16_features']
  assert [(row[0], row[-1]) for row in rows] == list(zip(precisions, ('64', '16', '16')))
  assert rows[0][2] == '1.00' and all(float(row[1]) >= 0 for row in rows)
