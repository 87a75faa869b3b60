"""Tests of network inputs against those of the reference implementations, to the gray level."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import preprocess
from parity import inputs
from parity.pack import EXTRACT


@pytest.fixture(scope='module', name='image')
def _image():
  """An image of 180x243, and the reference's input: resized to 256x346 and padded to 256x352."""
  with np.load(EXTRACT / 'network_input.npz') as arrays:
    return arrays['raw_rgb'], np.moveaxis(arrays['input'][0], 0, -1)


def test_images_are_resized_as_by_the_reference(image):
  rows = inputs.resize_checks('image', *image)
  assert len(rows) == 3
  assert all(row.ok for row in rows), rows


def test_no_pixel_differs_by_more_than_one_gray_level(image):
  rgb, expected = image
  share = inputs.resize_checks('image', rgb, expected)[1]
  assert share.measured == 0


def test_an_image_shifted_by_one_pixel_fails(image):
  rgb, expected = image
  shifted = np.roll(rgb, 1, axis=1)
  share = inputs.resize_checks('image', shifted, expected)[1]
  assert share.measured > 0.5 and not share.ok


def test_image_info_holds_sizes_and_factors(image):
  rgb, expected = image
  _, info = preprocess.preprocess_image(tf.constant(rgb), 256, 400, expected.shape[:2])
  np.testing.assert_allclose(info, [[180, 243], [256, 346], [256 / 180, 346 / 243], [0, 0]])


def test_images_are_normalized_and_padded_as_by_mmdetection():
  """The expected values are computed here: (RGB - mean) / deviation, padded with zeros."""
  with np.load(EXTRACT / 'r50_maps.npz') as arrays:
    rgb = arrays['image0_bgr'][..., ::-1]
  expected = np.zeros([256, 320, 3], np.float32)
  expected[:250, :310] = (rgb - np.float32([123.675, 116.28, 103.53])) / np.float32(
    [58.395, 57.12, 57.375]
  )
  rows = inputs.normalize_checks('image', rgb, expected)
  assert all(row.ok for row in rows), rows
  assert not all(row.ok for row in inputs.normalize_checks('image', rgb[..., ::-1], expected))


def test_values_in_the_padding_fail(image):
  rgb, expected = image
  wrong = expected.copy()
  wrong[:, 346:] = 0.01
  assert not inputs.resize_checks('image', rgb, wrong)[2].ok
