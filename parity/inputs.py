"""Input parity: from a picture's pixels to the network input."""

import os

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess
from parity.check import Check, at_most
from parity.layout import channels_last

_PERCENTILE = 99.9
_LEVEL_BAR = 1
_NORMALIZED_BAR = 1e-5  # of values of order 1

# Of laihuihui/htc, whose picture b is resized: short side, and limit of the long side.
_MIN_SIZE, _MAX_SIZE = 256, 400


def input_checks(folder: str) -> list[Check]:
  """Checks of all pictures in a folder with the parity pack."""
  with np.load(os.path.join(folder, 'paddle_r50_b.npz')) as arrays:
    checks = resize_checks(
      'laihuihui/htc, picture b', arrays['raw_rgb'], channels_last(arrays['input'])[0]
    )
  with np.load(os.path.join(folder, 'paddle_r50_a.npz')) as arrays:
    checks += normalize_checks(
      'laihuihui/htc, picture a', arrays['raw_rgb'], channels_last(arrays['input'])[0]
    )
  with np.load(os.path.join(folder, 'mmdet_r50_inference.npz')) as arrays:
    for image, expected in enumerate(channels_last(arrays['input'])):
      checks += normalize_checks(
        f'mmdetection, picture {image}', arrays[f'image{image}_bgr'][..., ::-1], expected
      )
  return checks


def resize_checks(title: str, rgb: np.ndarray, expected: np.ndarray) -> list[Check]:
  """Checks of size, interpolation, normalisation and padding.

  Args:
    title: begins the names of the checks.
    rgb: [height, width, 3] uint8, to be resized to 256 by at most 400.
    expected: [padded_height, padded_width, 3] the reference's network input.
  """
  actual, info = preprocess.preprocess_image(
    tf.constant(rgb), _MIN_SIZE, _MAX_SIZE, expected.shape[:2]
  )
  height, width = info[1].numpy().astype(int)
  differences = np.abs(_levels(actual.numpy()) - _levels(expected))[:height, :width]
  far = np.mean(differences > _LEVEL_BAR)
  return [
    at_most(
      f'{title}: network input, grey levels off at {_PERCENTILE}% of the pixels',
      np.percentile(differences, _PERCENTILE),
      _LEVEL_BAR,
    ),
    at_most(
      f'{title}: network input, share of pixels off by more than 1 grey level',
      far,
      1 - _PERCENTILE / 100,
    ),
    _padding_check(title, actual.numpy(), expected, (height, width)),
  ]


def normalize_checks(title: str, rgb: np.ndarray, expected: np.ndarray) -> list[Check]:
  """Checks of channel order, normalisation and padding of a picture of the final size.

  Args:
    title: of the checks.
    rgb: [height, width, 3] uint8.
    expected: [frame_height, frame_width, 3] float32, the reference's network input.
  """
  pixels = preprocess.normalize(tf.constant(np.ascontiguousarray(rgb)))
  actual = preprocess.pad_to(pixels, expected.shape[:2]).numpy()
  return [
    at_most(
      f'{title}: normalised values, largest difference',
      np.abs(actual - expected).max(),
      _NORMALIZED_BAR,
    ),
    _padding_check(title, actual, expected, rgb.shape[:2]),
  ]


def _padding_check(title: str, actual: np.ndarray, expected: np.ndarray, size) -> Check:
  """Number of values below and to the right of the picture that differ."""
  padding = np.ones(expected.shape, bool)
  padding[: size[0], : size[1]] = False
  return at_most(
    f'{title}: values of the padding that differ', np.sum(actual[padding] != expected[padding]), 0
  )


def _levels(network_input: np.ndarray) -> np.ndarray:
  """Grey levels 0..255 of normalised pixels: whole numbers, as before the normalisation."""
  return np.rint(
    network_input * np.float32(preprocess.IMAGE_STDDEV) + np.float32(preprocess.IMAGE_MEAN)
  )
