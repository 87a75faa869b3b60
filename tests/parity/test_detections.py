"""Tests of the comparison of detections."""

import numpy as np
import pytest

from parity import detections
from parity.detections import Detected, PastedMasks

BOXES = np.array([[0, 0, 8, 8], [0, 0, 8, 8], [4, 4, 12, 12], [20, 20, 30, 30.0]])


def detected(boxes=BOXES, scores=(0.9, 0.5, 0.4, 0.3), classes=(1, 1, 2, 3), masks=None):
  return Detected(np.asarray(boxes), np.asarray(scores), np.asarray(classes), masks)


def measured(ours, reference):
  checks = detections.detection_measurements('', lambda: ours, lambda: reference)
  return [check.measure() for check in checks]


def test_detections_in_another_order_are_equal():
  order = [3, 1, 0, 2]
  ours = detected(*(np.asarray(value)[order] for value in detected()[:3]))
  assert measured(ours, detected()) == [0, 0]


def test_differences_in_class_box_and_score_are_measured():
  assert measured(detected(classes=(1, 1, 3, 3)), detected()) == [0.25, 0]
  assert measured(detected(BOXES + np.array([[0.0], [0.0], [0.09], [0.2]])), detected()) == [
    0.25,
    0,
  ]
  lost, difference = measured(detected(scores=(0.9, 0.5, 0.4, 0.35)), detected())
  assert lost == 0 and difference == pytest.approx(0.05)


def test_without_detections_all_of_the_reference_are_lost():
  nothing = detected(np.zeros([0, 4]), np.zeros(0), np.zeros(0))
  assert measured(nothing, detected()) == [1, 0]


def test_mask_pixels_of_matched_detections_are_compared_in_the_original_image():
  ours = detected(BOXES[2:3], [0.4], [2], np.ones([1, 28, 28]))
  masks = np.zeros([1, 10, 10], bool)
  masks[0, 2:6, 2:6] = True  # the box at half its size
  pasted = PastedMasks(masks, np.array([2.0, 2.0]))
  check = detections.mask_measurement('', lambda: ours, lambda: ours, lambda: pasted)
  assert check.measure() == 0
  masks[0, 0, 0] = True
  assert check.measure() == 0.01
