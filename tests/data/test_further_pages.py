"""Tests of files with several pages or frames, which Pillow writes."""

import io

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import further_pages, images


def encoded(file_format, num_pages):
  rng = np.random.default_rng(0)
  pages = [Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)) for _ in range(num_pages)]
  file = io.BytesIO()
  if file_format == 'JPEG':
    pages[0].save(file, 'JPEG')
  else:
    pages[0].save(file, file_format, save_all=True, append_images=pages[1:])
  return file.getvalue()


@pytest.mark.parametrize('file_format', ['TIFF', 'GIF', 'PNG', 'WEBP'])
@pytest.mark.parametrize('num_pages', [1, 2, 5])
def test_files_of_several_pages_are_told(file_format, num_pages):
  image = images.read_image(encoded(file_format, num_pages))
  assert image.size == (8, 9)
  assert image.has_further_pages == (num_pages > 1)


def test_previews_of_a_jpeg_file_are_no_pages():
  content = encoded('MPO', 2)
  assert Image.open(io.BytesIO(content)).n_frames == 2
  assert not images.read_image(content).has_further_pages
  assert not images.read_image(encoded('JPEG', 1)).has_further_pages


@pytest.mark.parametrize('kind, expected', [(0, True), (1, False), (4, False), (2, True)])
def test_smaller_copies_and_masks_of_a_tiff_file_are_no_pages(kind, expected):
  file = io.BytesIO()
  image, copy = Image.new('RGB', (8, 9)), Image.new('RGB', (4, 5))
  copy.encoderinfo = {'tiffinfo': {254: kind}}
  image.save(file, 'TIFF', save_all=True, append_images=[copy])
  assert images.read_image(file.getvalue()).has_further_pages == expected


def test_damaged_files_and_pixels_have_none():
  assert not further_pages.has_further_pages(encoded('TIFF', 2)[:6], 'TIFF')
  assert not further_pages.has_further_pages(b'', 'GIF')
  assert not images.image_from_pixels(np.zeros([4, 5, 3], np.uint8)).has_further_pages


def test_pages_in_a_circle_end():
  content = bytearray(encoded('TIFF', 1))
  first = int.from_bytes(content[4:8], 'little')
  num_tags = int.from_bytes(content[first : first + 2], 'little')
  following = first + 2 + 12 * num_tags
  content[following : following + 4] = first.to_bytes(4, 'little')
  assert further_pages.has_further_pages(bytes(content), 'TIFF')
