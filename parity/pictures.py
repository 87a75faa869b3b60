"""From pictures to network inputs, as the reference made them."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess

_DIVISOR = 32


def network_input(resized_rgb: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
  """Normalises pictures and pads them to one frame, a multiple of 32.

  Args:
    resized_rgb: [height, width, 3] uint8 each.
  """
  sizes = np.array([picture.shape[:2] for picture in resized_rgb])
  frame = -(-sizes.max(0) // _DIVISOR) * _DIVISOR
  images = [
    preprocess.pad_to(preprocess.normalize(tf.constant(picture)), tuple(frame.tolist()))
    for picture in resized_rgb
  ]
  return {'images': np.stack(images), 'image_shape': sizes.astype(np.float32)}


def share_off_by_more_than_a_grey_level(actual: np.ndarray, expected: np.ndarray) -> float:
  """Share of values that differ by more than 1; NaN for another shape."""
  if actual.shape != expected.shape:
    return float('nan')
  return float(np.mean(np.abs(actual.astype(np.float32) - expected.astype(np.float32)) > 1))
