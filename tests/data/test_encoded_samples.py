"""Tests of decoding images of any channels and depth in a graph."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import encoded_samples, npy_file, png_file
from htc_tf.data.images import image_from_pixels
from htc_tf.data.sample_format import SampleFormat

RNG = np.random.default_rng(0)
FORMATS = [SampleFormat(channels, bits) for channels in (1, 2, 3, 4, 6) for bits in (8, 16)]


def noise(sample_format):
  shape = [5, 7, sample_format.num_channels]
  return RNG.integers(0, 2**sample_format.bits, shape, sample_format.dtype)


def decoder(sample_format):
  return tf.function(
    lambda encoded: encoded_samples.decode(encoded, sample_format), autograph=False
  )


@pytest.mark.parametrize('sample_format', FORMATS, ids=str)
def test_encoded_images_are_decoded_to_their_samples(sample_format):
  samples = noise(sample_format)
  files = {image_from_pixels(samples).encoded(sample_format=sample_format).content}
  if not sample_format.is_rgb:
    files.add(npy_file.write(samples))
  decode = decoder(sample_format)
  for content in files:
    decoded = decode(content)
    assert decoded.dtype == sample_format.dtype
    np.testing.assert_array_equal(decoded, samples)
    assert encoded_samples.num_pixels(content, sample_format) == 35
    assert encoded_samples.has_format(content, sample_format)
    assert encoded_samples.orientation_of(content, sample_format) == 1


def test_a_gray_jpeg_and_a_two_dimensional_array_are_one_channel_of_8_bits():
  gray = SampleFormat(1, 8)
  samples = noise(gray)
  buffer = io.BytesIO()
  Image.fromarray(samples[..., 0]).save(buffer, 'JPEG')
  decoded = decoder(gray)(buffer.getvalue())
  np.testing.assert_array_equal(decoded[..., 0], Image.open(buffer))
  flat = io.BytesIO()
  np.save(flat, samples[..., 0])
  np.testing.assert_array_equal(decoder(gray)(flat.getvalue()), samples)


@pytest.mark.parametrize('sample_format', FORMATS, ids=str)
def test_images_of_another_format_are_refused(sample_format):
  if sample_format.is_rgb:
    return  # Files of every kind are converted.
  for other in FORMATS:
    if other != sample_format:
      content = image_from_pixels(noise(other)).encoded(sample_format=other).content
      assert not encoded_samples.has_format(content, sample_format)
      with pytest.raises(tf.errors.InvalidArgumentError, match='other channels or another depth'):
        encoded_samples.decode(tf.constant(content), sample_format)


def test_an_array_in_another_layout_is_refused():
  sample_format = SampleFormat(6, 16)
  samples = noise(sample_format)
  for array in (samples.astype('>u2'), np.asfortranarray(samples), samples[np.newaxis]):
    buffer = io.BytesIO()
    np.save(buffer, array)
    assert not encoded_samples.has_format(buffer.getvalue(), sample_format)


@pytest.mark.parametrize('length', [0, 5, 9, 60, 130, -1])
def test_a_truncated_array_is_an_error(length):
  sample_format = SampleFormat(6, 16)
  content = npy_file.write(noise(sample_format))[:length]
  with pytest.raises(tf.errors.InvalidArgumentError):
    decoder(sample_format)(content)


def test_a_large_image_is_refused_by_its_header():
  sample_format = SampleFormat(2, 8)
  small = npy_file.write(np.zeros([10, 10, 2], np.uint8))
  large = small.replace(b'(10, 10, 2), }        ', b'(10000, 10000, 2), }  ')
  assert len(large) == len(small)
  assert encoded_samples.num_pixels(large, sample_format) == 10**8
  with pytest.raises(tf.errors.InvalidArgumentError, match='too many pixels'):
    encoded_samples.within_limit(tf.constant(large), sample_format)
  encoded_samples.within_limit(tf.constant(png_file.write(noise(sample_format))), sample_format)
