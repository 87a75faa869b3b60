"""Network inputs from images that were resized already, prepared as in the reference."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess

_DIVISOR = 32


def network_input(resized_rgb: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
  """Inputs of the model: images normalized and padded to one size, a multiple of 32.

  Args:
    resized_rgb: images [height, width, 3] uint8.
  """
  sizes = np.array([image.shape[:2] for image in resized_rgb])
  padded_hw = -(-sizes.max(0) // _DIVISOR) * _DIVISOR
  images = [
    preprocess.pad_to(preprocess.normalize(tf.constant(image)), tuple(padded_hw.tolist()))
    for image in resized_rgb
  ]
  return {'images': np.stack(images), 'image_shape': sizes.astype(np.float32)}


def share_off_by_more_than_a_gray_level(actual: np.ndarray, expected: np.ndarray) -> float:
  """Share of values that differ by more than 1; NaN if the shapes differ."""
  if actual.shape != expected.shape:
    return float('nan')
  return float(np.mean(np.abs(actual.astype(np.float32) - expected.astype(np.float32)) > 1))
