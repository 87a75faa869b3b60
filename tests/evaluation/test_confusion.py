"""Tests of the confusion matrix."""

import numpy as np

from htc_tf.evaluation import confusion, image_matches
from tests import evaluation_cases

_BOX, _NEARLY, _PART = (0, 0, 100, 100), (0, 0, 100, 90), (0, 0, 100, 40)
_OTHER = (140, 140, 40, 40)


def _matrix(objects, detections, num_categories=2):
  case = evaluation_cases.build(objects, detections, num_categories=num_categories)
  return confusion.confusion_matrix(case.matches(), num_categories).tolist()


def test_each_outcome_has_its_place():
  objects = [(1, 1, _BOX), (1, 2, _OTHER)]
  assert _matrix(objects, [(1, 1, _BOX, 0.9), (1, 2, _OTHER, 0.9)]) == [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 0],
  ]
  assert _matrix(objects, [(1, 2, _BOX, 0.9)]) == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
  assert _matrix(objects, [(1, 1, _PART, 0.9)]) == [[0, 0, 1], [0, 0, 1], [1, 0, 0]]


def test_a_detection_of_the_right_class_has_the_first_choice():
  # The better detection has the wrong class; the object is found nevertheless.
  objects = [(1, 1, _BOX)]
  detections = [(1, 2, _BOX, 0.9), (1, 1, _NEARLY, 0.5)]
  assert _matrix(objects, detections) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_crowd_regions_and_detections_in_them_do_not_count():
  objects = [(1, 1, _BOX, True)]
  detections = [(1, 1, (10, 10, 20, 20), 0.9), (1, 2, (10, 10, 20, 20), 0.8)]
  assert _matrix(objects, detections) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_rows_sum_to_the_objects_and_columns_to_the_detections():
  case = evaluation_cases.random_case(4, crowds=True)
  images = list(image_matches.above(case.matches(), 0.3))
  matrix = confusion.confusion_matrix(images, 4)
  detections = image_matches.detection_arrays(images)
  counts = np.bincount(detections.labels, minlength=4)
  np.testing.assert_array_equal(matrix[:-1].sum(1), image_matches.count_objects(images, 4))
  np.testing.assert_array_equal(matrix[:, :-1].sum(0), counts)
  true_counts = np.bincount(detections.labels[detections.is_true], minlength=4)
  np.testing.assert_array_equal(np.diag(matrix)[:-1], true_counts)


def test_the_largest_confusions_come_first_and_empty_ones_do_not():
  matrix = np.array([[9, 2, 0], [0, 8, 5], [1, 0, 0]])
  assert confusion.largest_confusions(matrix, 9) == [(1, 2, 5), (0, 1, 2), (2, 0, 1)]
  assert confusion.largest_confusions(matrix, 1) == [(1, 2, 5)]


def test_classes_with_few_errors_are_merged():
  matrix = np.arange(25).reshape(5, 5)
  matrix[[0, 2]] = matrix[:, [0, 2]] = 1  # The classes 0 and 2 have the fewest errors.
  smaller, kept = confusion.merged(matrix, 2)
  assert kept == [1, 3]
  order, other = [1, 3], [0, 2]
  expected = np.zeros([4, 4], int)
  expected[:2, :2] = matrix[np.ix_(order, order)]
  expected[:2, 2], expected[2, :2] = matrix[np.ix_(order, other)].sum(1), [2, 2]
  expected[:2, 3], expected[3, :2] = matrix[order, 4], matrix[4, order]
  expected[2, 2], expected[2, 3], expected[3, 2], expected[3, 3] = 4, 2, 2, matrix[4, 4]
  np.testing.assert_array_equal(smaller, expected)


def test_confusions_among_merged_classes_are_counted():
  matrix = np.arange(25).reshape(5, 5)
  assert confusion.num_confused(matrix, [1, 3]) == matrix[0, 2] + matrix[2, 0]
  assert confusion.num_confused(matrix, [0, 1, 3]) == 0
  assert confusion.num_confused(matrix, [0, 1, 2, 3]) == 0


def test_few_classes_stay_as_they_are():
  matrix = np.arange(16).reshape(4, 4)
  smaller, kept = confusion.merged(matrix, 3)
  np.testing.assert_array_equal(smaller, matrix)
  assert kept == [0, 1, 2]
