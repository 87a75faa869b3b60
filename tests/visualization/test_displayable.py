"""Tests of pictures of images of any channels and depth."""

import numpy as np

from htc_tf.visualization import displayable


def test_rgb_stays_as_it_is():
  image = np.random.default_rng(0).integers(0, 256, [5, 6, 3], np.uint8)
  np.testing.assert_array_equal(displayable.to_rgb(image), image)


def test_one_and_two_channels_are_gray_and_more_show_the_first_three():
  image = np.random.default_rng(0).integers(0, 256, [5, 6, 6], np.uint8)
  for channels in (1, 2):
    shown = displayable.to_rgb(image[..., :channels])
    np.testing.assert_array_equal(shown, np.repeat(image[..., :1], 3, axis=2))
  np.testing.assert_array_equal(displayable.to_rgb(image), image[..., :3])


def test_16_bits_are_stretched_between_percentiles():
  ramp = np.arange(10_000, dtype=np.uint16).reshape(100, 100, 1)
  shown = displayable.to_rgb(ramp)[..., 0]
  assert shown.dtype == np.uint8 and (shown == 0).sum() >= 99 and (shown == 255).sum() >= 99
  low, high = np.percentile(ramp, [1, 99])
  middle = ramp[50, 50, 0]
  assert abs(float(shown[50, 50]) - 255 * (middle - low) / (high - low)) <= 0.51


def test_a_constant_image_of_16_bits_is_black():
  assert not displayable.to_rgb(np.full([4, 5, 4], 700, np.uint16)).any()
