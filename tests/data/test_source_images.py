"""Tests of reading pictures and stuff maps of every kind."""

import io

import cv2
import numpy as np
from PIL import Image
import pytest

from htc_tf.data import source_images

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.stack([GREY, 255 - GREY, GREY // 2], -1)


def decode(encoded):
  return np.asarray(Image.open(io.BytesIO(encoded)))


@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
def test_rgb_jpeg_and_png_stay_as_they_are(tmp_path, name):
  Image.fromarray(RGB).save(tmp_path / name)
  image = source_images.read_image(str(tmp_path / name))
  assert image.encoded == (tmp_path / name).read_bytes()
  assert (image.height, image.width, image.converted) == (6, 8, False)


def palette():
  image = Image.fromarray(RGB).quantize(16)
  return image, np.asarray(image.convert('RGB'))


@pytest.mark.parametrize('image,expected', [
    (Image.fromarray(GREY), np.stack([GREY] * 3, -1)),
    (Image.fromarray(np.dstack([RGB, GREY])), RGB),
    (Image.fromarray(GREY.astype(np.uint16) * 257), np.stack([GREY] * 3, -1)),
    (Image.fromarray(GREY > 100), np.stack([(GREY > 100) * np.uint8(255)] * 3, -1)),
    palette(),
])
def test_other_pixel_types_become_rgb_png(tmp_path, image, expected):
  image.save(tmp_path / 'a.png')
  result = source_images.read_image(str(tmp_path / 'a.png'))
  assert (result.format, result.converted) == ('png', True)
  np.testing.assert_array_equal(decode(result.encoded), expected)


def test_16_bit_rgb_is_converted(tmp_path):
  cv2.imwrite(str(tmp_path / 'a.png'), RGB[..., ::-1].astype(np.uint16) * 257)
  result = source_images.read_image(str(tmp_path / 'a.png'))
  assert result.converted
  np.testing.assert_array_equal(decode(result.encoded), RGB)


def test_other_formats_are_converted(tmp_path):
  Image.fromarray(RGB).save(tmp_path / 'a.bmp')
  result = source_images.read_image(str(tmp_path / 'a.bmp'))
  assert (result.format, result.converted) == ('png', True)
  np.testing.assert_array_equal(decode(result.encoded), RGB)


def test_empty_and_foreign_and_truncated_files(tmp_path):
  path = tmp_path / 'a.jpg'
  for content, message in ((b'', 'empty'), (b'not an image', 'cannot identify')):
    path.write_bytes(content)
    with pytest.raises(source_images.UnreadableImageError, match=message):
      source_images.read_image(str(path))
  Image.fromarray(np.tile(RGB, (20, 20, 1))).save(path)
  path.write_bytes(path.read_bytes()[:900])
  with pytest.raises(source_images.UnreadableImageError, match='truncated'):
    source_images.read_image(str(path))


def test_floating_point_pixels_are_refused(tmp_path):
  Image.fromarray(GREY.astype(np.float32)).save(tmp_path / 'a.tiff')
  with pytest.raises(source_images.UnreadableImageError, match='floating-point'):
    source_images.read_image(str(tmp_path / 'a.tiff'))


def test_label_map_keeps_palette_indices(tmp_path):
  image = Image.fromarray(GREY % 4).convert('P')
  image.putpalette([9, 9, 9] * 256)
  image.save(tmp_path / 'a.png')
  np.testing.assert_array_equal(source_images.read_label_map(str(tmp_path / 'a.png')), GREY % 4)


def test_label_map_with_three_channels_is_refused(tmp_path):
  Image.fromarray(RGB).save(tmp_path / 'a.png')
  with pytest.raises(source_images.UnreadableImageError, match='mode RGB; expected one channel'):
    source_images.read_label_map(str(tmp_path / 'a.png'))


def test_labels_out_of_range_are_ignored():
  labels, found = source_images.clean_label_map(np.array([[0, 182, 183, 255, 1000]]), 183)
  assert found and labels.dtype == np.uint8
  assert labels.tolist() == [[0, 182, 255, 255, 255]]
  assert source_images.clean_label_map(np.array([[0, 182, 255]]), 183)[1] is False
