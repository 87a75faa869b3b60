"""Checks of the network inputs that are made from the pixels of an image."""

import os

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess
from parity.check import Check, at_most
from parity.layout import channels_last

_PERCENTILE = 99.9
_LEVEL_BAR = 1
_NORMALIZED_BAR = 1e-5  # for values of order 1

# laihuihui/htc resized its image b to this short side, with this limit of the long side.
_MIN_SIZE, _MAX_SIZE = 256, 400


def input_checks(folder: str) -> list[Check]:
  """Checks of all images in a folder with the parity pack."""
  with np.load(os.path.join(folder, 'paddle_r50_b.npz')) as arrays:
    checks = resize_checks(
      'laihuihui/htc, image b', arrays['raw_rgb'], channels_last(arrays['input'])[0]
    )
  with np.load(os.path.join(folder, 'paddle_r50_a.npz')) as arrays:
    checks += normalize_checks(
      'laihuihui/htc, image a', arrays['raw_rgb'], channels_last(arrays['input'])[0]
    )
  with np.load(os.path.join(folder, 'mmdet_r50_inference.npz')) as arrays:
    for image, expected in enumerate(channels_last(arrays['input'])):
      checks += normalize_checks(
        f'mmdetection, image {image}', arrays[f'image{image}_bgr'][..., ::-1], expected
      )
  return checks


def resize_checks(title: str, rgb: np.ndarray, expected: np.ndarray) -> list[Check]:
  """Checks of size, interpolation, normalization and padding.

  Args:
    title: start of the names of the checks.
    rgb: [height, width, 3] uint8, to be resized to a short side of 256 and a long side of at most
      400.
    expected: [padded_height, padded_width, 3] network input of the reference.
  """
  actual, info = preprocess.preprocess_image(
    tf.constant(rgb), _MIN_SIZE, _MAX_SIZE, expected.shape[:2]
  )
  height, width = info[1].numpy().astype(int)
  differences = np.abs(_gray_levels(actual.numpy()) - _gray_levels(expected))[:height, :width]
  far = np.mean(differences > _LEVEL_BAR)
  return [
    at_most(
      f'{title}: network input, difference in gray levels, {_PERCENTILE}th percentile',
      np.percentile(differences, _PERCENTILE),
      _LEVEL_BAR,
    ),
    at_most(
      f'{title}: network input, share of values off by more than 1 gray level',
      far,
      1 - _PERCENTILE / 100,
    ),
    _padding_check(title, actual.numpy(), expected, (height, width)),
  ]


def normalize_checks(title: str, rgb: np.ndarray, expected: np.ndarray) -> list[Check]:
  """Checks of channel order, normalization and padding of an image that is not resized.

  Args:
    title: start of the names of the checks.
    rgb: [height, width, 3] uint8.
    expected: [padded_height, padded_width, 3] float32 network input of the reference.
  """
  pixels = preprocess.normalize(tf.constant(np.ascontiguousarray(rgb)))
  actual = preprocess.pad_to(pixels, expected.shape[:2]).numpy()
  return [
    at_most(
      f'{title}: normalized values, largest difference',
      np.abs(actual - expected).max(),
      _NORMALIZED_BAR,
    ),
    _padding_check(title, actual, expected, rgb.shape[:2]),
  ]


def _padding_check(
  title: str, actual: np.ndarray, expected: np.ndarray, image_hw: tuple[int, ...]
) -> Check:
  """Check of the number of values below and to the right of the image that differ."""
  padding = np.ones(expected.shape, bool)
  padding[: image_hw[0], : image_hw[1]] = False
  return at_most(
    f'{title}: values of the padding that differ', np.sum(actual[padding] != expected[padding]), 0
  )


def _gray_levels(network_input: np.ndarray) -> np.ndarray:
  """Whole gray levels 0..255, from which the normalized pixels were computed."""
  stddev, mean = (
    np.array(values, np.float32) for values in (preprocess.IMAGE_STDDEV, preprocess.IMAGE_MEAN)
  )
  return np.rint(network_input * stddev + mean)
