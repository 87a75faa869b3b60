"""Tests of reading images and label maps of every kind."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from htc_tf.data import images, rgb_pixels

GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.stack([GRAY, 255 - GRAY, GRAY // 2], -1)


def decode(encoded):
  return np.asarray(Image.open(io.BytesIO(encoded)))


@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
def test_rgb_jpeg_and_png_files_are_kept(tmp_path, name):
  Image.fromarray(RGB).save(tmp_path / name)
  image = images.read_image(str(tmp_path / name)).encoded()
  assert image.content == (tmp_path / name).read_bytes()
  assert (image.height, image.width, image.converted) == (6, 8, False)


def palette_image():
  """An image with a palette, and its RGB pixels."""
  image = Image.fromarray(RGB).quantize(16)
  return image, np.asarray(image.convert('RGB'))


@pytest.mark.parametrize(
  'image,expected',
  [
    (Image.fromarray(GRAY), np.stack([GRAY] * 3, -1)),
    (Image.fromarray(np.dstack([RGB, GRAY])), RGB),
    (Image.fromarray(GRAY.astype(np.uint16) * 257), np.stack([GRAY] * 3, -1)),
    (Image.fromarray(GRAY > 100), np.stack([(GRAY > 100) * np.uint8(255)] * 3, -1)),
    palette_image(),
  ],
)
def test_other_pixel_types_become_rgb_png(tmp_path, image, expected):
  image.save(tmp_path / 'a.png')
  result = images.read_image(str(tmp_path / 'a.png')).encoded()
  assert (result.format, result.converted) == ('png', True)
  np.testing.assert_array_equal(decode(result.content), expected)


def test_16_bit_rgb_is_converted(tmp_path):
  cv2.imwrite(str(tmp_path / 'a.png'), RGB[..., ::-1].astype(np.uint16) * 257)
  result = images.read_image(str(tmp_path / 'a.png')).encoded()
  assert result.converted
  np.testing.assert_array_equal(decode(result.content), RGB)


def test_other_formats_are_converted(tmp_path):
  Image.fromarray(RGB).save(tmp_path / 'a.bmp')
  result = images.read_image(str(tmp_path / 'a.bmp')).encoded()
  assert (result.format, result.converted) == ('png', True)
  np.testing.assert_array_equal(decode(result.content), RGB)


def test_empty_truncated_and_other_files_are_refused(tmp_path):
  path = tmp_path / 'a.jpg'
  for content, message in ((b'', 'empty'), (b'not an image', 'cannot identify')):
    path.write_bytes(content)
    with pytest.raises(images.UnreadableImageError, match=message):
      images.read_image(str(path))
  Image.fromarray(np.tile(RGB, (20, 20, 1))).save(path)
  path.write_bytes(path.read_bytes()[:900])
  with pytest.raises(images.UnreadableImageError, match='truncated'):
    images.read_image(str(path))


@pytest.mark.parametrize('size', range(4, 8))
def test_a_tiff_file_that_ends_in_its_header_is_refused(tmp_path, size):
  (tmp_path / 'a.tif').write_bytes(b'II*\0\x08\0\0\0'[:size])
  with pytest.raises(images.UnreadableImageError):
    images.read_image(str(tmp_path / 'a.tif')).pixels()


def test_a_tiff_file_with_offsets_of_64_bits_is_read(tmp_path):
  Image.fromarray(RGB).save(tmp_path / 'a.tif', big_tiff=True)
  np.testing.assert_array_equal(images.read_image(str(tmp_path / 'a.tif')).pixels(), RGB)


def test_floating_point_pixels_are_refused(tmp_path):
  Image.fromarray(GRAY.astype(np.float32)).save(tmp_path / 'a.tiff')
  with pytest.raises(images.UnreadableImageError, match='floating-point'):
    images.read_image(str(tmp_path / 'a.tiff')).pixels()


def test_a_label_map_keeps_palette_indices(tmp_path):
  image = Image.fromarray(GRAY % 4).convert('P')
  image.putpalette([9, 9, 9] * 256)
  image.save(tmp_path / 'a.png')
  np.testing.assert_array_equal(images.read_label_map(str(tmp_path / 'a.png')), GRAY % 4)


def test_a_label_map_with_three_channels_is_refused(tmp_path):
  Image.fromarray(RGB).save(tmp_path / 'a.png')
  with pytest.raises(images.UnreadableImageError, match=r'Expected: one channel. Got: mode RGB'):
    images.read_label_map(str(tmp_path / 'a.png'))


def test_labels_out_of_range_become_the_ignored_label():
  labels, found = images.clean_label_map(np.array([[0, 182, 183, 255, 1000]]), 183)
  assert found and labels.dtype == np.uint8
  assert labels.tolist() == [[0, 182, 255, 255, 255]]
  assert images.clean_label_map(np.array([[0, 182, 255]]), 183)[1] is False


@pytest.mark.parametrize('size', [(8000, 6251), (10_000, 10_000), (20_000, 20_000)])
def test_an_image_with_too_many_pixels_is_not_decoded(tmp_path, size):
  """There is no warning either; the largest image is refused by Pillow itself."""
  path = tmp_path / 'bomb.png'
  Image.new('1', size).save(path)
  for read in (images.read_image, images.read_label_map):
    tracemalloc.start()
    with pytest.raises(images.UnreadableImageError, match='too many pixels'):
      read(str(path))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
  'annotated, upright, turned',
  [
    ((6, 8), True, False),
    ((8, 6), False, True),
    ((7, 6), True, True),
    ((7, 6), False, False),
    (None, True, True),
    (None, False, False),
  ],
)
def test_images_are_turned_upright_or_to_the_annotated_size(tmp_path, annotated, upright, turned):
  """EXIF orientation 6 means that the image is stored lying on its left side."""
  exif = Image.Exif()
  exif[274] = 6
  Image.fromarray(RGB).save(tmp_path / 'a.png', exif=exif)
  source = images.read_image(str(tmp_path / 'a.png'), annotated, upright)
  image = source.encoded()
  expected = np.rot90(RGB, -1) if turned else RGB
  assert (image.height, image.width, image.converted) == (*expected.shape[:2], turned)
  np.testing.assert_array_equal(decode(image.content), expected)
  np.testing.assert_array_equal(source.pixels(), expected)
  assert source.size == expected.shape[:2]


@pytest.mark.parametrize(
  'orientation, annotated, told',
  [
    (6, (8, 6), True),
    (6, (6, 8), False),
    (6, (5, 5), None),
    (3, (6, 8), None),
    (1, (6, 8), None),
    (8, (8, 6), True),
  ],
)
def test_the_annotated_size_tells_whether_it_is_that_of_the_upright_image(
  tmp_path, orientation, annotated, told
):
  exif = Image.Exif()
  exif[274] = orientation
  Image.fromarray(RGB).save(tmp_path / 'a.png', exif=exif)
  assert images.refers_to_upright(tmp_path / 'a.png', annotated) is told


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_tiff_file_is_turned_or_kept_as_it_is_stored(tmp_path, orientation):
  """Pillow turns TIFF files itself, and no others."""
  path = tmp_path / 'a.tif'
  Image.fromarray(RGB).save(path, tiffinfo={274: orientation})
  upright = np.asarray(Image.open(path))
  stored = images.read_image(path, upright=False)
  np.testing.assert_array_equal(stored.pixels(), RGB)
  assert stored.size == (6, 8) and not stored.turned
  turned = images.read_image(path)
  np.testing.assert_array_equal(turned.pixels(), upright)
  assert turned.size == upright.shape[:2] and turned.turned == (orientation > 1)
  told = images.refers_to_upright(path, upright.shape[:2])
  assert told is (True if orientation > 4 else None)


def test_colors_without_a_conversion_are_refused():
  with pytest.raises(images.UnreadableImageError, match=r'colors cannot be converted.*mode La'):
    rgb_pixels.to_rgb(Image.new('La', (4, 4)), 'TIFF', b'')


def test_the_size_of_an_unreadable_image_tells_nothing(tmp_path):
  (tmp_path / 'a.png').write_bytes(b'no image')
  assert images.refers_to_upright(tmp_path / 'a.png', (6, 8)) is None
  assert images.refers_to_upright(tmp_path / 'missing.png', (6, 8)) is None


def test_bytes_and_pixels_give_the_same_image_as_a_file(tmp_path):
  path = tmp_path / 'a.bmp'
  Image.fromarray(RGB).save(path)
  read = [
    images.read_image(path),
    images.read_image(path.read_bytes()),
    images.image_from_pixels(RGB),
  ]
  assert [image.path for image in read] == [str(path), None, None]
  for image in read:
    np.testing.assert_array_equal(image.pixels(), RGB)
    np.testing.assert_array_equal(decode(image.encoded().content), RGB)


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_a_gray_label_map_of_few_bits_is_not_scaled(tmp_path, bits):
  """The file is written by hand, because Pillow writes no gray PNG of 2 or 4 bits."""
  labels = np.arange(2**bits, dtype=np.uint8)[np.newaxis].repeat(2, axis=0)  # [2, 2 ** bits]
  places = np.unpackbits(labels[..., np.newaxis], axis=-1)[..., 8 - bits :]
  rows = np.packbits(places.reshape(2, -1), axis=-1)
  raw = b''.join(b'\0' + row.tobytes() for row in rows)

  def chunk(kind, data):
    body = kind + data
    return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

  header = struct.pack('>IIBBBBB', 2**bits, 2, bits, 0, 0, 0, 0)
  (tmp_path / 'labels.png').write_bytes(
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(raw))
    + chunk(b'IEND', b'')
  )
  np.testing.assert_array_equal(images.read_label_map(tmp_path / 'labels.png'), labels)
