"""Tests of the augmentations that change pixels, against Pillow, OpenCV, SciPy and colorsys."""

import colorsys
import io

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from PIL import Image, ImageEnhance

from htc_tf.data.augmentation import pixel_change
from htc_tf.data.augmentation.blur import Blur
from htc_tf.data.augmentation.brightness import Brightness
from htc_tf.data.augmentation.checks import check_channels
from htc_tf.data.augmentation.contrast import Contrast
from htc_tf.data.augmentation.hue import Hue
from htc_tf.data.augmentation.jpeg import Jpeg
from htc_tf.data.augmentation.noise import Noise
from htc_tf.data.augmentation.saturation import Saturation
from htc_tf.errors import ConfigError
from htc_tf.ops.without_autograph import without_autograph
from tests import augmented_record
from tests.augmented_record import over_seeds, parse, record

SEED = tf.constant([3, 1])
# Each with its strongest change.
STRONGEST = {
  'brightness': (Brightness, 1.0),
  'contrast': (Contrast, 1.0),
  'saturation': (Saturation, 1.0),
  'hue': (Hue, 0.5),
  'blur': (Blur, 4.0),
  'noise': (Noise, 1.0),
  'jpeg': (Jpeg, 1),
}
FOR_RGB = ('saturation', 'hue', 'jpeg')


def build(name, probability=1.0):
  cls, strength = STRONGEST[name]
  return cls(probability, strength)


def noise_image(channels=3, height=20, width=26):
  coarse = np.random.default_rng(5).integers(0, 256, [5, 7, channels]).astype(np.float32)
  zoomed = scipy.ndimage.zoom(coarse, (height / 5, width / 7, 1), order=1)
  return np.round(zoomed).astype(np.float32)


@pytest.fixture(name='factor')
def _factor(monkeypatch):
  """Factor 1.4 instead of a random one."""
  monkeypatch.setattr(pixel_change.FactorChange, 'factor', lambda *_: tf.constant(1.4))
  return 1.4


def test_brightness_is_a_factor(factor):
  image = noise_image(4)
  changed = Brightness(1.0, 0.5).change_pixels(tf.constant(image), SEED)
  np.testing.assert_allclose(changed, np.minimum(image * factor, 255), rtol=1e-6)


def test_contrast_is_a_factor_on_the_distance_from_the_mean(factor):
  image = noise_image(2)
  mean = image.mean((0, 1))
  changed = Contrast(1.0, 0.5).change_pixels(tf.constant(image), SEED)
  expected = np.clip(mean + factor * (image - mean), 0, 255)
  np.testing.assert_allclose(changed, expected, atol=1e-3)


def test_saturation_equals_that_of_pillow(factor):
  image = noise_image()
  changed = Saturation(1.0, 0.5).change_pixels(tf.constant(image), SEED)
  expected = ImageEnhance.Color(Image.fromarray(image.astype(np.uint8))).enhance(factor)
  np.testing.assert_allclose(changed, np.asarray(expected), atol=1.5)  # Pillow rounds twice.


def test_hue_equals_that_of_colorsys(monkeypatch):
  monkeypatch.setattr(tf.random, 'stateless_uniform', lambda *_: tf.constant(0.13))
  image = noise_image()
  changed = Hue(1.0, 0.5).change(tf.constant(image), SEED)
  for pixel, found in zip(image.reshape(-1, 3)[::7], changed.numpy().reshape(-1, 3)[::7]):
    hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255).tolist())
    expected = np.array(colorsys.hsv_to_rgb((hue + 0.13) % 1, saturation, value)) * 255
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_blur_equals_that_of_scipy(monkeypatch):
  image = noise_image(5)
  monkeypatch.setattr(tf.random, 'stateless_uniform', lambda *_: tf.constant(1.5))
  changed = Blur(1.0, 2.0).change(tf.constant(image), SEED)
  # The kernel has a radius of 6 pixels; the border is mirrored at the middle of the last pixel.
  expected = scipy.ndimage.gaussian_filter(image, (1.5, 1.5, 0), mode='mirror', radius=(6, 6, 0))
  np.testing.assert_allclose(changed, expected, atol=1e-3)


@pytest.mark.parametrize('shape', [(1, 1, 3), (2, 3, 3), (1, 30, 1)])
def test_images_smaller_than_the_kernel_are_blurred(shape):
  changed = Blur(1.0, 5.0).change_pixels(tf.fill(shape, 100.0), SEED)
  np.testing.assert_allclose(changed, np.full(shape, 100.0), rtol=1e-5)


def test_noise_has_the_given_deviation(monkeypatch):
  monkeypatch.setattr(tf.random, 'stateless_uniform', lambda *_: tf.constant(10.0))
  image = tf.fill([80, 80, 4], 128.0)
  change = Noise(1.0, 0.1).change(image, SEED).numpy() - 128
  assert abs(change.mean()) < 0.3 and change.std() == pytest.approx(10, abs=0.3)
  channels = change.reshape(-1, 4).T
  assert abs(np.corrcoef(channels) - np.eye(4)).max() < 0.05


def test_jpeg_is_that_of_pillow(monkeypatch):
  monkeypatch.setattr(tf.random, 'stateless_uniform', lambda *_: tf.constant(35))
  image = noise_image(height=48, width=64)
  changed = Jpeg(1.0, 20).change(tf.constant(image), SEED).numpy()
  file = io.BytesIO()
  Image.fromarray(image.astype(np.uint8)).save(file, 'JPEG', quality=35)
  expected = np.asarray(Image.open(file), np.float32)
  assert abs(changed - image).max() > 10
  assert np.mean(abs(changed - expected) > 2) < 0.02


def test_hue_turns_in_both_directions_by_at_most_the_limit():
  red = tf.constant([[[200.0, 0.0, 0.0]]])
  augmentation = Hue(1.0, 0.1)
  pixels = np.array(over_seeds(lambda seed: augmentation.change(red, seed), 60))[:, 0, 0]
  # A turn by a tenth of the circle gives 0.6 of the next color.
  limits = pixels.max(axis=0)
  np.testing.assert_allclose(limits, [200, 120, 120], atol=12)
  assert (limits[1:] <= 120.01).all() and not pixels[:, 1:].all(axis=1).any()


def test_jpeg_does_not_go_below_the_lowest_quality():
  image = np.repeat(noise_image(1, 16, 16), 3, axis=2)  # Gray, so that colors are not reduced.
  change = over_seeds(lambda seed: Jpeg(1.0, 90).change(tf.constant(image), seed) - image, 40)
  file = io.BytesIO()
  Image.fromarray(image.astype(np.uint8)).save(file, 'JPEG', quality=90)
  worst = np.std(np.asarray(Image.open(file), np.float32) - image)
  strengths = np.std(change, axis=(1, 2, 3))
  assert strengths.max() < 1.1 * worst and strengths.min() < 0.5 * worst


def test_noise_and_blur_are_at_most_as_strong_as_the_limit():
  gray = tf.fill([30, 30, 1], 128.0)
  noise = over_seeds(lambda seed: Noise(1.0, 0.1).change(gray, seed) - gray, 40)
  strengths = np.std(noise, axis=(1, 2, 3))
  assert strengths.min() < 3 and 22 < strengths.max() < 28  # A tenth of 255 is 25.5.
  dot = tf.scatter_nd([[15, 15, 0]], [1.0], [31, 31, 1])
  peaks = np.array(over_seeds(lambda seed: Blur(1.0, 2.0).change(dot, seed), 40))[:, 15, 15, 0]
  # The peak of a Gaussian with the deviation 2 is 1 / (2 pi 2^2) = 0.0398.
  assert peaks.max() > 0.5 and 0.039 < peaks.min() < 0.05


@pytest.mark.parametrize('name', STRONGEST)
def test_values_stay_in_the_range_of_pixels_eagerly_and_in_tf_data(name):
  augmentation = build(name)
  image = tf.constant(noise_image())
  change = without_autograph(lambda seed: augmentation.change_pixels(image, tf.stack([seed, 1])))
  dataset = tf.data.Dataset.range(12).map(change)
  assert dataset.element_spec.shape == image.shape
  changed = np.stack(list(dataset.as_numpy_iterator()))
  assert changed.min() >= 0 and changed.max() <= 255 and np.isfinite(changed).all()
  eager = augmentation.change_pixels(image, tf.constant([4, 1], tf.int64))
  np.testing.assert_allclose(changed[4], eager, atol=1e-3)
  assert len({array.tobytes() for array in changed}) > 6  # The strength is random.


@pytest.mark.parametrize('name', STRONGEST)
def test_the_probability_is_the_share_of_changed_images(name):
  image = tf.constant(noise_image(height=8, width=9))
  augmentation = build(name, 0.3)

  @without_autograph
  def differs(seed):
    return tf.reduce_any(augmentation.change_pixels(image, tf.stack([seed, 1])) != image)

  dataset = tf.data.Dataset.range(200).map(differs)
  assert np.mean(list(dataset.as_numpy_iterator())) == pytest.approx(0.3, abs=0.11)


@pytest.mark.parametrize('name', STRONGEST)
def test_without_probability_nothing_is_computed(name):
  image = tf.zeros([4, 4, 3])
  assert build(name, 0.0).change_pixels(image, SEED) is image


def test_labels_and_padding_stay():
  image, labels = parse([build(name) for name in STRONGEST], record())
  plain_image, plain = augmented_record.plain()
  assert (image != plain_image).numpy().any()
  for key, value in labels.items():
    np.testing.assert_array_equal(value, plain[key])
  assert not image.numpy()[29:].any() and not image.numpy()[:, 48:].any()


@pytest.mark.parametrize('name', STRONGEST)
@pytest.mark.parametrize('channels', [1, 2, 4])
def test_images_of_other_channels_are_changed_or_refused(name, channels):
  augmentation = build(name)
  image = tf.constant(noise_image(channels))
  if name in FOR_RGB:
    with pytest.raises(ConfigError, match=f'augmentation.{name} needs RGB.*Got: {channels} chan'):
      check_channels([augmentation], channels)
    check_channels([build(name, 0.0)], channels)
  else:
    check_channels([augmentation], channels)
    assert augmentation.change_pixels(image, SEED).shape == image.shape


@pytest.mark.parametrize('name', STRONGEST)
def test_wrong_probabilities_and_strengths_are_refused(name):
  cls, strength = STRONGEST[name]
  for probability in (-0.1, 50, float('nan')):
    with pytest.raises(ConfigError, match=f'augmentation.{name}.probability is out of range'):
      cls(probability, strength)
  for wrong in (-1, 1000, float('nan')):
    with pytest.raises(ConfigError, match=rf'augmentation.{name}\.\w+ is out of range'):
      cls(0.5, wrong)


def test_a_random_factor_is_on_both_sides_of_1():
  change = Brightness(1.0, 0.3)
  factors = [float(change.factor(tf.constant([s, 1]))) for s in range(100)]
  assert 0.7 <= min(factors) < 0.75 and 1.25 < max(factors) <= 1.3
