"""Comparison of the detections of one image with the reference's, regardless of their order."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from htc_tf.evaluation.mask_paste import paste_masks
from parity.measurement import Measurement

_BOX_PX = 0.1
_LOST_BAR = 0.01
_SCORE_BAR = 1e-3
_PIXEL_BAR = 1e-3


class Detected(NamedTuple):
  """Detections of one image.

  Attributes:
    boxes: [num, 4] yxyx in input pixels.
    scores: [num].
    classes: [num], 1 is the first foreground class.
    masks: [num, size, size] probabilities, or None if they are not compared.
  """

  boxes: np.ndarray
  scores: np.ndarray
  classes: np.ndarray
  masks: np.ndarray | None = None


class PastedMasks(NamedTuple):
  """Masks of the reference in the original image, and the scale of the network input.

  Attributes:
    masks: [num, H, W] bool in original pixels, one per detection of the reference.
    scale: [2] height and width of the resized image, divided by those of the original image.
  """

  masks: np.ndarray
  scale: np.ndarray


def matched_rows(ours: Detected, reference: Detected) -> np.ndarray:
  """Row of our detection that matches each reference detection, or -1: [num_reference].

  A match has the same class and nearly the same box. If there are several, the one with the nearest
  score is taken, because two detections of a class may almost coincide.
  """
  if not len(ours.boxes):
    return np.full(len(reference.boxes), -1)
  distances = np.abs(reference.boxes[:, np.newaxis] - ours.boxes).max(-1)  # [reference, ours]
  same = (distances <= _BOX_PX) & (reference.classes[:, np.newaxis] == ours.classes)
  gaps = np.where(same, np.abs(reference.scores[:, np.newaxis] - ours.scores), np.inf)
  return np.where(same.any(1), gaps.argmin(1), -1)


def detection_measurements(
  name: str,
  ours: Callable[[], Detected],
  reference: Callable[[], Detected],
  score_bar: float = _SCORE_BAR,
) -> list[Measurement]:
  """Measurements of the share of detections not found, and of the scores of those found.

  Args:
    name: start of the names of the measurements.
    ours: function that returns our detections.
    reference: function that returns the detections of the reference.
    score_bar: largest difference of scores that passes.
  """

  def pair() -> tuple[Detected, Detected, np.ndarray]:
    actual, expected = ours(), reference()
    return actual, expected, matched_rows(actual, expected)

  def lost():
    return np.mean(pair()[2] < 0)

  def score_difference():
    actual, expected, rows = pair()
    found = rows >= 0
    return np.abs(actual.scores[rows[found]] - expected.scores[found]).max(initial=0.0)

  return [
    Measurement(
      f'{name}: share not found with the same class within {_BOX_PX} px', _LOST_BAR, lost
    ),
    Measurement(f'{name}: scores of those found, largest difference', score_bar, score_difference),
  ]


def mask_measurement(
  name: str,
  ours: Callable[[], Detected],
  reference: Callable[[], Detected],
  pasted: Callable[[], PastedMasks],
) -> Measurement:
  """Measurement of the share of differing pixels, over whole images, in masks of detections found.

  Args:
    name: start of the name of the measurement.
    ours: function that returns our detections, with masks.
    reference: function that returns the detections of the reference.
    pasted: function that returns the masks of the reference.
  """

  def measure():
    expected = pasted()
    actual = ours()
    rows = matched_rows(actual, reference())
    found = rows >= 0
    boxes = actual.boxes[rows[found]] / np.tile(expected.scale, 2)
    masks = paste_masks(actual.masks[rows[found]], boxes, expected.masks.shape[1:])
    return np.mean(masks != expected.masks[found])

  return Measurement(f'{name}: share of differing pixels, original size', _PIXEL_BAR, measure)
