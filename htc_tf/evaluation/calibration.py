"""Whether scores are probabilities: of the detections with score 0.8, 80 % should be right."""

from typing import NamedTuple

import numpy as np

NUM_BINS = 10


class Calibration(NamedTuple):
  """Scores compared with shares of right detections, in bins of equal width from 0 to 1.

  Attributes:
    counts: [num_bins] number of detections.
    mean_scores: [num_bins] mean score; NaN in an empty bin.
    precisions: [num_bins] share of right detections (IoU of at least 0.5); NaN in an empty bin.
    expected_error: expected calibration error (Guo et al. 2017): mean of |share - score| over the
      bins, weighted by their counts; 0 without detections.
    bias: mean score minus share of right detections; above 0, the scores are too high.
  """

  counts: np.ndarray
  mean_scores: np.ndarray
  precisions: np.ndarray
  expected_error: float
  bias: float


def calibration(
  scores: np.ndarray, is_true: np.ndarray, num_bins: int = NUM_BINS
) -> Calibration | None:
  """The calibration of scores; None if one is outside [0, 1], as no probability is.

  Args:
    scores: [num_detections] scores.
    is_true: [num_detections] bool, whether each detection finds an object.
    num_bins: number of bins; a score on a border belongs to the upper bin, and 1 to the last one.
  """
  if len(scores) and not 0 <= scores.min() <= scores.max() <= 1:
    return None
  bins = np.clip((scores * num_bins).astype(np.int64), 0, num_bins - 1)
  counts = np.bincount(bins, minlength=num_bins)
  total = max(len(scores), 1)
  with np.errstate(invalid='ignore'):
    mean_scores = np.bincount(bins, scores, num_bins) / counts
    precisions = np.bincount(bins, is_true.astype(np.float64), num_bins) / counts
  gaps = np.where(counts > 0, mean_scores - precisions, 0.0)
  return Calibration(
    counts,
    mean_scores,
    precisions,
    float(np.abs(gaps) @ counts / total),
    float(gaps @ counts / total),
  )
