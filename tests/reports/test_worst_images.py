"""Tests of the images with the most errors and of their drawings."""

import tracemalloc

import numpy as np

from htc_tf.evaluation import analysis as analysis_lib
from htc_tf.reports import worst_images
from tests import evaluation_cases

_BOX, _OTHER = (20, 20, 60, 60), (120, 120, 60, 60)


def _analyzed(case):
  return analysis_lib.analyze(case.ground_truth, case.results, case.category_ids, True)


def test_images_with_more_errors_come_first():
  objects = [(image, 1, _BOX) for image in (1, 2, 3)] + [(3, 1, _OTHER)]
  detections = [(1, 1, _BOX, 0.9), (2, 2, _BOX, 0.9), (2, 1, _BOX, 0.8)]
  case = evaluation_cases.build(objects, detections, num_images=4)
  found = worst_images.worst_images(_analyzed(case), case.ground_truth, 8)
  assert [(item.image_id, item.num_errors, item.num_found) for item in found] == [
    (3, 2, 0),
    (2, 1, 1),
    (1, 0, 1),  # The fourth image has nothing to show.
  ]
  assert len(worst_images.worst_images(_analyzed(case), case.ground_truth, 1)) == 1


def test_images_without_errors_follow_by_their_worst_overlap():
  thinner, shifted = (20, 20, 60, 54), (20, 30, 60, 60)  # Boxes with IoU 0.9 and 50 / 70.
  objects = [(image, 1, _BOX) for image in (1, 2, 3)] + [(2, 1, _OTHER)]
  detections = [(1, 1, thinner, 0.9), (2, 1, _BOX, 0.9), (2, 1, _OTHER, 0.9), (3, 1, shifted, 0.9)]
  case = evaluation_cases.build(objects, detections, num_images=3)
  found = worst_images.worst_images(_analyzed(case), case.ground_truth, 8)
  assert [item.image_id for item in found] == [3, 1, 2]
  overlaps = [item.worst_overlap for item in found]
  np.testing.assert_allclose(overlaps, [50 / 70, 0.9, 1.0], atol=0.05)  # Masks lack a corner.


def _has(image, color):
  return bool((np.abs(image.astype(int) - color).max(axis=-1) < 3).any())


def test_what_is_wrong_is_red_and_what_is_right_is_green():
  pixels = np.full((200, 200, 3), 60, np.uint8)
  outcomes = {
    'right': ([(1, 1, _BOX)], [(1, 1, _BOX, 0.9)], (True, False), (True, False)),
    'missed': ([(1, 1, _BOX)], [], (False, True), (False, False)),
    'both': (
      [(1, 1, _BOX)],
      [(1, 1, _BOX, 0.9), (1, 1, _OTHER, 0.95)],
      (True, False),
      (True, True),
    ),
  }
  for objects, detections, truth, detected in outcomes.values():
    case = evaluation_cases.build(objects, detections)
    drawn = worst_images.draw_image(pixels, _analyzed(case), case.ground_truth, 1)
    halves = drawn[:, : drawn.shape[1] // 2], drawn[:, drawn.shape[1] // 2 :]
    for half, expected in zip(halves, (truth, detected)):
      colors = (worst_images.RIGHT, worst_images.WRONG)
      assert tuple(_has(half, color) for color in colors) == expected


def test_masks_and_boxes_of_a_large_image_are_scaled_with_it():
  case = evaluation_cases.build([(1, 1, (1000, 500, 800, 700))], [])
  case.ground_truth.imgs[1].update(height=2000, width=3000)
  drawn = worst_images.draw_image(
    np.full((2000, 3000, 3), 60, np.uint8), _analyzed(case), case.ground_truth, 1
  )
  assert drawn.shape[1] < 2000
  red = np.abs(drawn.astype(int) - worst_images.WRONG).max(axis=-1) < 3
  columns = np.flatnonzero(red.any(axis=0))
  # From 1000 and to 1800 of 3000 columns, at 900 columns a panel after a gap of 8.
  assert abs(columns[0] - (8 + 300)) <= 2 and abs(columns[-1] - (8 + 540)) <= 2


def test_many_objects_need_little_memory():
  objects = [(1, 1, (5 * (index % 36), 5 * (index // 36), 12, 12)) for index in range(400)]
  case = evaluation_cases.build(objects, [(*item, 0.9) for item in objects])
  found = _analyzed(case)
  tracemalloc.start()
  drawn = worst_images.draw_image(np.full((200, 200, 3), 60, np.uint8), found, case.ground_truth, 1)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  side = drawn.shape[0]
  assert side >= 420
  assert peak < len(objects) * side * side / 4
