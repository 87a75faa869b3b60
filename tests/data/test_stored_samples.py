"""Tests of the samples that image files have: channels, depth and orientation."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import images, png_file
from htc_tf.data.sample_format import RGB, SampleFormat

RNG = np.random.default_rng(0)


def noise(channels, dtype=np.uint8):
  return RNG.integers(0, np.iinfo(dtype).max + 1, [11, 14, channels], dtype)


def saved(samples, form, **options):
  buffer = io.BytesIO()
  samples = samples[..., 0] if samples.shape[2] == 1 else samples
  Image.fromarray(samples).save(buffer, form, **options)
  return buffer.getvalue()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_png_files_have_their_channels_and_bits(channels, dtype):
  """TensorFlow writes the files."""
  samples = noise(channels, dtype)
  content = tf.io.encode_png(samples).numpy()
  source = images.read_image(content)
  expected = SampleFormat(channels, 8 * samples.itemsize)
  assert source.sample_format == expected
  np.testing.assert_array_equal(source.samples(expected), samples)
  kept = source.encoded(sample_format=expected)
  assert (kept.content, kept.format, kept.converted) == (content, 'png', False)
  assert source.is_reduced == (expected not in (RGB, SampleFormat(1, 8)))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_written_png_files_are_read_by_others(channels, dtype):
  samples = noise(channels, dtype)
  content = png_file.write(samples)
  np.testing.assert_array_equal(tf.io.decode_png(content, 0, samples.dtype), samples)
  if channels != 2:  # OpenCV has no gray with alpha.
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(decoded.reshape(samples.shape)[..., order], samples)
  assert png_file.plain_format(content) == SampleFormat(channels, 8 * samples.itemsize)


def test_the_pixels_of_a_16_bit_color_image_are_those_of_its_samples():
  samples = noise(4, np.uint16)
  pixels = images.read_image(png_file.write(samples)).pixels()
  np.testing.assert_array_equal(pixels, np.floor(samples[..., :3] / 257 + 0.5))


@pytest.mark.parametrize('form', ['JPEG', 'BMP', 'TIFF', 'WEBP'])
def test_gray_files_have_one_channel_where_the_format_has_gray(form):
  source = images.read_image(saved(noise(1), form))
  assert source.sample_format == (SampleFormat(1, 8) if form != 'WEBP' else RGB)


def test_palettes_and_inks_are_colors():
  palette = Image.fromarray(noise(3)).quantize(16)
  buffer = io.BytesIO()
  palette.save(buffer, 'PNG')
  source = images.read_image(buffer.getvalue())
  assert source.sample_format == RGB and not source.is_reduced
  np.testing.assert_array_equal(source.samples(RGB), np.asarray(palette.convert('RGB')))
  buffer = io.BytesIO()
  Image.fromarray(noise(3)).convert('CMYK').save(buffer, 'TIFF')
  assert images.read_image(buffer.getvalue()).sample_format == RGB


@pytest.mark.parametrize('orientation', range(1, 9))
def test_samples_are_turned_as_pixels_are(orientation, tmp_path):
  exif = Image.Exif()
  exif[274] = orientation
  samples = noise(4)
  content = saved(samples, 'PNG', exif=exif)
  source = images.read_image(content)
  found = source.samples(SampleFormat(4, 8))
  np.testing.assert_array_equal(found[..., :3], source.pixels())
  assert found.shape[:2] == source.size
  encoded = source.encoded(sample_format=SampleFormat(4, 8))
  assert encoded.converted == (orientation > 1)
  if encoded.converted:
    np.testing.assert_array_equal(tf.io.decode_png(encoded.content, 4), found)


def test_an_image_of_another_format_is_refused_with_both():
  source = images.read_image(saved(noise(3), 'PNG'))
  with pytest.raises(
    images.UnreadableImageError, match=r'Expected: 4 channels of 16 bits. Got: 3 channels of 8 bits'
  ):
    source.samples(SampleFormat(4, 16))
  with pytest.raises(images.UnreadableImageError, match='Expected: 1 channel of 8 bits'):
    source.encoded(sample_format=SampleFormat(1, 8))


def test_floating_point_pixels_have_no_format():
  source = images.read_image(saved(noise(1).astype(np.float32), 'TIFF'))
  with pytest.raises(images.UnreadableImageError, match='floating-point'):
    source.sample_format  # noqa: B018
