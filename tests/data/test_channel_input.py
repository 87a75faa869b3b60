"""Tests of the network input of images of other channels and depth."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import parser as parsers
from htc_tf.data import preprocess
from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.padding import padding_rule
from htc_tf.data.preprocess import Normalization
from htc_tf.data.sample_format import SampleFormat

RNG = np.random.default_rng(0)


class _Brighter(Augmentation):
  """Adds 10 to pixels of 0..255."""

  def change_pixels(self, image, seed):
    return image + 10.0


def element(image):
  return {
    'image': tf.constant(image),
    'source_id': tf.constant(1, tf.int64),
    'boxes_normalized': tf.zeros([0, 4]),
    'classes': tf.zeros([0], tf.int32),
    'is_crowd': tf.zeros([0], tf.bool),
    'masks_png': tf.zeros([0], tf.string),
    'semantic': tf.zeros(image.shape[:2], tf.uint8),
    parsers.SEED_KEY: tf.constant([0, 1]),
  }


@pytest.mark.parametrize('channels, dtype', [(1, np.uint8), (2, np.uint16), (6, np.uint16)])
def test_pixels_are_changed_as_of_8_bits_and_normalized_by_channel(channels, dtype):
  image = RNG.integers(0, np.iinfo(dtype).max // 2, [32, 40, channels], dtype)
  mean, stddev = RNG.uniform(1, 100, channels), RNG.uniform(1, 100, channels)
  parser = parsers.Parser(
    padding_rule([(32, 40)], (32, 40)),
    [32],
    40,
    augmentations=[_Brighter()],
    normalization=Normalization(tuple(mean), tuple(stddev), largest=np.iinfo(dtype).max),
  )
  found, _ = parser.parse_fn(True)(element(image))
  added = 10 if dtype == np.uint8 else 2570
  np.testing.assert_allclose(found, (image + float(added) - mean) / stddev, rtol=1e-4, atol=1e-2)
  plain, _ = parser.parse_fn(False)(element(image))
  np.testing.assert_allclose(plain, (image - mean) / stddev, rtol=1e-5, atol=1e-4)


def test_16_bits_are_resized_to_integers_without_loss():
  image = RNG.integers(0, 65536, [16, 20, 4], np.uint16)
  same = preprocess.resize_image(tf.constant(image), tf.constant([16, 20]))
  np.testing.assert_array_equal(same, image)
  half = preprocess.resize_image(tf.constant(image), tf.constant([8, 10])).numpy()
  blocks = image.reshape(8, 2, 10, 2, 4).astype(np.float64).mean((1, 3))
  np.testing.assert_array_equal(half, np.floor(blocks + 0.5))


def test_denormalizing_gives_the_samples_of_16_bits():
  image = RNG.integers(0, 65536, [6, 7, 4], np.uint16)
  normalization = Normalization((300.0, 5.0, 7.0, 20_000.0), (90.0, 2.0, 800.0, 5000.0))
  normalized = preprocess.normalize(tf.constant(image), normalization)
  found = preprocess.denormalize(normalized, normalization, SampleFormat(4, 16))
  assert found.dtype == tf.uint16
  np.testing.assert_allclose(found.numpy().astype(int), image.astype(int), atol=1)
