"""Tests of showing images of any channels and depth."""

import numpy as np
import pytest

from htc_tf.errors import InputError
from htc_tf.visualization import display


def _samples(channels, dtype=np.uint8, high=256):
  return np.random.default_rng(0).integers(0, high, [40, 50, channels]).astype(dtype)


def test_three_channels_of_eight_bits_stay_as_they_are():
  image = _samples(3)
  np.testing.assert_array_equal(display.displayed_rgb(image), image)


def test_other_numbers_of_channels_become_three():
  np.testing.assert_array_equal(display.displayed_rgb(_samples(1)), np.repeat(_samples(1), 3, 2))
  two = display.displayed_rgb(_samples(2))
  np.testing.assert_array_equal(two[..., :2], _samples(2))
  assert not two[..., 2].any()
  for channels in (4, 7):
    image = _samples(channels)
    np.testing.assert_array_equal(display.displayed_rgb(image), image[..., :3])


@pytest.mark.parametrize('dtype, high', [(np.uint16, 4096), (np.float32, 5)])
def test_deep_samples_use_the_whole_range(dtype, high):
  image = _samples(3, dtype, high)
  shown = display.displayed_rgb(image)
  assert shown.dtype == np.uint8 and shown.min() == 0 and shown.max() == 255
  order = np.argsort(image[..., 1].ravel(), kind='stable')
  assert (np.diff(shown[..., 1].ravel()[order].astype(int)) >= 0).all()


def test_a_constant_image_and_samples_that_are_no_numbers_are_shown():
  assert display.displayed_rgb(np.full([4, 4, 1], 700, np.uint16)).shape == (4, 4, 3)
  assert display.displayed_rgb(np.full([4, 4, 3], np.nan, np.float32)).dtype == np.uint8


@pytest.mark.parametrize('shape', [(4, 4), (0, 4, 3), (4, 4, 0)])
def test_an_array_that_is_no_image_is_refused(shape):
  with pytest.raises(InputError, match='height, width, channels'):
    display.displayed_rgb(np.zeros(shape, np.uint8))
