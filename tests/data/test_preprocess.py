"""Tests of the resize rule, resizing, normalization, padding and decoding."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import preprocess

SIZES = [(480, 640), (640, 480), (427, 640), (333, 500), (1, 1), (3, 2000), (51, 50), (800, 1333)]


def published_size(height, width, min_size, max_size):
  scale = min(max_size / max(height, width), min_size / min(height, width))
  return [max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)]


@pytest.mark.parametrize('height,width', SIZES)
def test_the_scaled_size_follows_the_published_rule(height, width):
  size = preprocess.scaled_size(tf.constant([height, width]), 800, 1333)
  assert size.dtype == tf.int32
  assert size.numpy().tolist() == published_size(height, width, 800, 1333)


@pytest.mark.parametrize('height,width', SIZES)
def test_the_scaled_size_fits_the_bound_and_keeps_the_aspect_ratio(height, width):
  size = preprocess.scaled_size(tf.constant([height, width]), 800, 1333, (800, 1344)).numpy()
  assert size[0] <= 800 and size[1] <= 1344
  unlimited = published_size(height, width, 800, 1333)
  if unlimited[0] <= 800:
    assert size.tolist() == unlimited
  else:
    assert size[0] == 800
    assert abs(size[1] - 800 * width / height) <= 0.5 or size[1] == 1


@pytest.mark.parametrize(
  'source,target',
  [
    ((37, 53), (80, 115)),
    ((240, 320), (400, 533)),
    ((300, 450), (167, 250)),
    ((123, 457), (77, 286)),
  ],
)
def test_resized_images_are_those_of_opencv_to_one_gray_level(source, target):
  image = np.random.default_rng(1).integers(0, 256, (*source, 3), dtype=np.uint8)
  expected = cv2.resize(image, target[::-1], interpolation=cv2.INTER_LINEAR).astype(int)
  resized = preprocess.resize_image(tf.constant(image), tf.constant(target)).numpy()
  np.testing.assert_array_equal(resized, np.round(resized))
  difference = np.abs(resized.astype(int) - expected)
  assert np.mean(difference <= 1) >= 0.999
  assert np.mean(difference == 0) >= 0.8


def test_pixels_are_normalized_with_the_published_statistics():
  values = preprocess.normalize(tf.constant([[[0, 128, 255]]], tf.uint8)).numpy()[0, 0]
  expected = (np.array([0, 128, 255]) - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
  np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize('height,width', [(24, 40), (40, 24), (16, 16)])
def test_images_are_padded_with_zeros_after_normalization(height, width):
  image = np.full([height, width, 3], 255, np.uint8)
  padded, info = preprocess.preprocess_image(tf.constant(image), 32, 48, (48, 56))
  scaled = published_size(height, width, 32, 48)
  assert padded.shape == (48, 56, 3)
  np.testing.assert_array_equal(info[0], [height, width])
  np.testing.assert_array_equal(info[1], scaled)
  np.testing.assert_allclose(info[2], [scaled[0] / height, scaled[1] / width], rtol=1e-6)
  np.testing.assert_array_equal(info[3], [0, 0])
  assert (padded.numpy()[: scaled[0], : scaled[1]] > 2).all()
  assert not padded.numpy()[scaled[0] :].any() and not padded.numpy()[:, scaled[1] :].any()


def test_a_batch_of_unknown_size_in_a_graph_gives_the_same_as_single_images():
  images = np.random.default_rng(2).integers(0, 256, [2, 30, 44, 3], dtype=np.uint8)
  signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
  graph = tf.function(
    lambda x: preprocess.preprocess_image(x, 32, 48, (48, 56)), signature, autograph=False
  )
  batch, infos = graph(tf.constant(images))
  assert infos.shape == (2, 4, 2)
  for image, padded, info in zip(images, batch, infos):
    expected, expected_info = preprocess.preprocess_image(tf.constant(image), 32, 48, (48, 56))
    np.testing.assert_allclose(padded, expected, atol=1e-5)
    np.testing.assert_array_equal(info, expected_info)


def test_jpeg_is_decoded_as_by_opencv():
  noise = np.random.default_rng(3).integers(0, 256, [40, 56, 3], dtype=np.uint8)
  encoded = cv2.imencode('.jpg', cv2.GaussianBlur(noise, (0, 0), 2))[1]
  expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
  decode = tf.function(preprocess.decode_image, autograph=False)
  decoded = decode(tf.constant(encoded.tobytes()))
  np.testing.assert_array_equal(decoded, expected)


def test_gray_images_are_decoded_to_rgb():
  gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
  decoded = preprocess.decode_image(tf.constant(cv2.imencode('.png', gray)[1].tobytes()))
  np.testing.assert_array_equal(decoded, np.repeat(gray[..., None], 3, -1))


def test_denormalizing_gives_the_pixels_and_the_mean_color_as_padding():
  pixels = np.random.default_rng(0).integers(0, 256, [9, 7, 3], np.uint8)
  for dtype in (tf.float32, tf.float16):
    normalized = tf.cast(preprocess.normalize(tf.constant(pixels)), dtype)
    restored = preprocess.denormalize(preprocess.pad_to(normalized, (12, 8))).numpy()
    assert restored.dtype == np.uint8
    np.testing.assert_array_equal(restored[:9, :7], pixels)
    np.testing.assert_array_equal(restored[10, 3], [124, 116, 104])
