"""Network inputs against those of the reference implementations, grey level by grey level."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import preprocess
from parity import inputs
from parity.pack import EXTRACT


@pytest.fixture(scope='module', name='picture')
def _picture():
  """A picture of 180x243, resized to 256x346 and padded to 256x352 by the reference."""
  with np.load(EXTRACT / 'network_input.npz') as arrays:
    return arrays['raw_rgb'], np.moveaxis(arrays['input'][0], 0, -1)


def test_published_resizing(picture):
  rows = inputs.resize_checks('picture', *picture)
  assert len(rows) == 3
  assert all(row.ok for row in rows), rows


def test_no_pixel_is_off_by_more_than_a_level(picture):
  rgb, expected = picture
  actual = inputs.resize_checks('picture', rgb, expected)[1]
  assert actual.measured == 0


def test_a_picture_shifted_by_a_pixel_fails(picture):
  rgb, expected = picture
  shifted = np.roll(rgb, 1, axis=1)
  share = inputs.resize_checks('picture', shifted, expected)[1]
  assert share.measured > 0.5 and not share.ok


def test_size_and_factors(picture):
  rgb, expected = picture
  _, info = preprocess.preprocess_image(tf.constant(rgb), 256, 400, expected.shape[:2])
  np.testing.assert_allclose(info, [[180, 243], [256, 346], [256 / 180, 346 / 243], [0, 0]])


def test_mmdetection_normalises_and_pads():
  """An independent restatement: RGB, minus mean, over deviation, then zeros."""
  with np.load(EXTRACT / 'r50_maps.npz') as arrays:
    rgb = arrays['image0_bgr'][..., ::-1]
  expected = np.zeros([256, 320, 3], np.float32)
  expected[:250, :310] = (rgb - np.float32([123.675, 116.28, 103.53])) / np.float32(
    [58.395, 57.12, 57.375]
  )
  rows = inputs.normalize_checks('picture', rgb, expected)
  assert all(row.ok for row in rows), rows
  assert not all(row.ok for row in inputs.normalize_checks('picture', rgb[..., ::-1], expected))


def test_values_in_the_padding_are_seen(picture):
  rgb, expected = picture
  wrong = expected.copy()
  wrong[:, 346:] = 0.01
  assert not inputs.resize_checks('picture', rgb, wrong)[2].ok
