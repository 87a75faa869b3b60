"""The confusion matrix of a detector: which class the objects of each class are taken for."""

from collections.abc import Sequence

import numpy as np

from htc_tf.evaluation.image_matches import IOU_THRESHOLD, ImageMatches


def confusion_matrix(images: Sequence[ImageMatches], num_categories: int) -> np.ndarray:
  """Counts of objects (rows) by the class of the detection on them (columns).

  First, the detections that find an object of their class count on the diagonal. Then the other
  detections, best first, each take the free object with the largest IoU of at least 0.5, whatever
  its class. Detections that remain stand in the last row (there is only background), and objects
  that remain in the last column (they are taken for background). Crowd regions, and detections in
  those of their class, do not count.

  Args:
    images: matches of the images, with the detections above the score threshold of interest.
    num_categories: number of evaluated categories.

  Returns:
    [num_categories + 1, num_categories + 1] int64.
  """
  matrix = np.zeros([num_categories + 1, num_categories + 1], np.int64)
  for image in images:
    pairs = _objects_of_detections(image)
    counted = ~image.is_ignored
    object_labels = np.append(image.object_labels, num_categories)
    np.add.at(matrix, (object_labels[pairs[counted]], image.labels[counted]), 1)
    left = ~image.is_crowd
    left[pairs[pairs >= 0]] = False
    np.add.at(matrix, (image.object_labels[left], num_categories), 1)
  return matrix


def largest_confusions(matrix: np.ndarray, maximum: int) -> list[tuple[int, int, int]]:
  """(row, column, count) of the largest entries off the diagonal, in descending order.

  Args:
    matrix: result of `confusion_matrix`.
    maximum: largest number of entries.
  """
  off_diagonal = matrix * ~np.eye(len(matrix), dtype=bool)
  order = np.argsort(-off_diagonal, axis=None, kind='stable')[:maximum]
  rows, columns = np.unravel_index(order, matrix.shape)
  return [
    (int(row), int(column), int(matrix[row, column]))
    for row, column in zip(rows, columns)
    if off_diagonal[row, column]
  ]


def merged(matrix: np.ndarray, maximum: int) -> tuple[np.ndarray, list[int]]:
  """A smaller matrix: the classes with the most errors, the other classes as one, the background.

  Args:
    matrix: result of `confusion_matrix`.
    maximum: largest number of classes that stay.

  Returns:
    The matrix, whose last two rows and columns are the other classes and the background, and the
    labels of the classes that stay, ascending. If all stay, there is no entry of other classes.
  """
  num_categories = len(matrix) - 1
  if num_categories <= maximum:
    return matrix, list(range(num_categories))
  errors = matrix.sum(0) + matrix.sum(1) - 2 * np.diag(matrix)
  kept = sorted(np.argsort(-errors[:-1], kind='stable')[:maximum].tolist())
  target = np.full(num_categories + 1, maximum)
  target[kept] = np.arange(maximum)
  target[-1] = maximum + 1
  smaller = np.zeros([maximum + 2, maximum + 2], np.int64)
  np.add.at(smaller, (target[:, None], target[None, :]), matrix)
  return smaller, kept


def num_confused(matrix: np.ndarray, left_out: Sequence[int]) -> int:
  """Number of objects that are taken for another class, among all classes but some.

  Args:
    matrix: result of `confusion_matrix`.
    left_out: labels of classes that do not count.
  """
  others = np.setdiff1d(np.arange(len(matrix) - 1), left_out)
  block = matrix[np.ix_(others, others)]
  return int(block.sum() - np.trace(block))


def _objects_of_detections(image: ImageMatches) -> np.ndarray:
  """[num_detections] position of the object that each detection is on, or -1."""
  pairs = image.matches.copy()
  free = ~image.is_found & ~image.is_crowd
  for row in np.flatnonzero((pairs < 0) & ~image.is_ignored):
    candidates = np.where(free, image.ious[row], -1.0)
    if len(candidates) and candidates.max() >= IOU_THRESHOLD:
      pairs[row] = int(candidates.argmax())
      free[pairs[row]] = False
  return pairs
