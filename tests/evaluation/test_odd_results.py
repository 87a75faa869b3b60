"""Tests that odd detections of a results file are named, and nothing else."""

import pytest

from htc_tf.evaluation import odd_results
from tests import evaluation_cases

_BOX = (150, 20, 30, 40)


def _found(detections, objects=((1, 1, _BOX),), num_images=1, **sizes):
  case = evaluation_cases.build(objects, detections, num_images=num_images)
  for image in case.ground_truth.imgs.values():
    image.update(sizes)
  return odd_results.find_oddities(case.results, case.ground_truth)


def test_usual_detections_are_not_odd():
  case = evaluation_cases.random_case(3, crowds=True)
  assert odd_results.find_oddities(case.results, case.ground_truth) == []
  assert _found([(1, 1, (150, 20, 68, 40), 1.0), (1, 1, (150, 20, 68, 40), 0.0)]) == []


def test_copies_are_counted():
  detections = [(1, 1, _BOX, 0.5)] * 3 + [(1, 2, _BOX, 0.5), (1, 1, _BOX, 0.4)]
  (finding,) = _found(detections)
  assert finding.startswith('2 detections are copies of another one')
  (finding,) = _found(detections[1:])
  assert finding.startswith('1 detection is a copy of another one')


def test_equal_boxes_with_other_masks_are_no_copies():
  case = evaluation_cases.build([(1, 1, _BOX)], [(1, 1, _BOX, 0.5)] * 2)
  case.results[1]['segmentation'] = {**case.results[1]['segmentation'], 'counts': b'other'}
  assert odd_results.find_oddities(case.results, case.ground_truth) == []


def test_scores_that_are_no_probabilities_are_counted():
  (finding,) = _found([(1, 1, _BOX, 1.5), (1, 1, _BOX, -0.1), (1, 1, _BOX, 1.0)])
  assert finding.startswith('2 scores are outside 0..1')


def test_negative_sides_are_counted():
  (finding,) = _found([(1, 1, (50, 50, -5, 5), 0.5), (1, 1, _BOX, 0.5)])
  assert finding.startswith('1 box has a negative width or height, and lies')


@pytest.mark.parametrize('number, is_named', [(9, True), (10, False)])
def test_corners_in_the_place_of_sides_are_named_if_there_are_many(number, is_named):
  corners = (150, 20, 180, 60)
  others = [(1, 1, _BOX, 0.1 + 0.05 * index) for index in range(number)]
  found = _found([(1, 1, corners, 0.05), *others])
  assert any(f'1 of {number + 1} boxes reach far beyond' in text for text in found) == is_named
  assert _found([(1, 1, corners, 0.5)], size_unknown=True) == []


def test_boxes_as_shares_are_named():
  (finding,) = _found([(1, 1, (0.1, 0.2, 0.3, 0.4), 0.5)])
  assert finding.startswith('all boxes are within 0..1')


def test_objects_of_images_without_detections_are_counted():
  objects = [(1, 1, _BOX), (2, 1, _BOX), (2, 2, _BOX), (2, 2, _BOX, True), (3, 1, _BOX, True)]
  (finding,) = _found([(1, 1, _BOX, 0.5)], objects, num_images=4)
  assert finding == (
    'in 1 of 4 images there are objects but no detection; 2 objects count as not found'
  )
