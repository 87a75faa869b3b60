"""Tests of windows of TIFF files: they are the parts of the whole image, of every kind of file."""

import io

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import image_limits, images, tiff_blocks, tiff_windows
from htc_tf.data.pixel_box import Box
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.data.sample_format import RGB, SampleFormat
from tests.data.test_tiff_samples import LAYOUTS, noise
from tests.data.tiff_writer import tiff

HEIGHT, WIDTH = 290, 310  # More than the blocks that are decoded together.
BOXES = [
  Box(0, 0, HEIGHT, WIDTH),
  Box(0, 0, 1, 1),
  Box(HEIGHT - 1, WIDTH - 1, HEIGHT, WIDTH),
  Box(17, 33, 90, 41),
  Box(250, 240, 270, 300),
]


def _check(path, sample_format=RGB, boxes=BOXES):
  whole = images.read_image(path)
  windows = tiff_windows.open_windows(path, sample_format)
  assert windows.size == whole.size
  expected = whole.samples(sample_format)
  for box in boxes:
    found = windows.read(box)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, box.crop(expected))


@pytest.mark.parametrize('layout', LAYOUTS, ids=str)
@pytest.mark.parametrize('channels, dtype', [(1, np.uint16), (3, np.uint8), (6, np.uint16)])
def test_every_layout(tmp_path, layout, channels, dtype):
  samples = noise(channels, dtype, HEIGHT, WIDTH)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([samples], **layout, photometric=2 if channels == 3 else 1))
  _check(path, SampleFormat(channels, 8 * samples.itemsize))


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('tile', [0, 64])
def test_windows_are_upright(tmp_path, orientation, tile):
  samples = noise(3, np.uint8, HEIGHT, WIDTH)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([samples], tile=tile, photometric=2, extra_tags=[(274, orientation)]))
  height, width = images.read_image(path).size
  _check(path, boxes=[Box(0, 0, height, width), Box(5, 40, 100, 60), Box(height - 3, 0, height, 9)])


@pytest.mark.parametrize('channels', [1, 2])
def test_pages_are_channels(tmp_path, channels):
  pages = [noise(channels, np.uint16, HEIGHT, WIDTH) for _ in range(3)]
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff(pages, tile=32, deflate=True))
  _check(path, SampleFormat(3 * channels, 16))


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'CMYK', 'I;16', 'YCbCr', 'LA'])
@pytest.mark.parametrize('compression', ['raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits'])
def test_every_kind_of_colors_and_compression_that_pillow_writes(tmp_path, mode, compression):
  image = Image.fromarray(noise(3, np.uint8, HEIGHT, WIDTH))
  if mode == 'I;16':
    image = Image.fromarray(noise(1, np.uint16, HEIGHT, WIDTH)[..., 0])
  else:
    image = image.convert(mode)
  path = tmp_path / 'a.tif'
  image.save(path, compression=compression, tiffinfo={278: 7})
  _check(path)


@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_jpeg_in_strips(tmp_path, mode):
  rows, columns = np.mgrid[:HEIGHT, :WIDTH]
  pixels = np.stack([rows % 256, columns % 256, (rows * columns) % 256], -1).astype(np.uint8)
  path = tmp_path / 'a.tif'
  Image.fromarray(pixels).convert(mode).save(path, compression='jpeg', tiffinfo={278: 32})
  _check(path)


@pytest.mark.parametrize('rows_per_strip', [1, 100, HEIGHT, 2**32 - 1])
def test_an_uncompressed_strip_of_any_height_is_read_row_by_row(tmp_path, rows_per_strip):
  samples = noise(3, np.uint8, HEIGHT, WIDTH)
  path = tmp_path / 'a.tif'
  content = tiff([samples], photometric=2, rows_per_strip=min(rows_per_strip, 10_000))
  path.write_bytes(content)
  windows = tiff_windows.open_windows(path)
  assert windows._pages[0].block_hw[0] == 1
  _check(path)


def test_big_tiff(tmp_path):
  """Pillow writes the file."""
  pixels = noise(3, np.uint8, HEIGHT, WIDTH)
  path = tmp_path / 'a.tif'
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, 'TIFF', big_tiff=True, tiffinfo={278: 9})
  path.write_bytes(buffer.getvalue())
  assert path.read_bytes()[2] == 43
  _check(path)


def test_a_file_above_the_limit_of_pixels_is_read_in_windows(tmp_path, monkeypatch):
  samples = noise(3, np.uint8, 700, 600)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([samples], photometric=2, tile=64, deflate=True))
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 256 * 256)
  with pytest.raises(UnreadableImageError, match='too many pixels'):
    images.read_image(path)
  windows = tiff_windows.open_windows(path)
  np.testing.assert_array_equal(windows.read(Box(500, 300, 700, 600)), samples[500:, 300:])


@pytest.mark.parametrize('tile', [0, 16])
def test_few_blocks_are_decoded_together_if_they_are_wide(tmp_path, monkeypatch, tile):
  samples = noise(3, np.uint8, 90, 2000)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([samples], photometric=2, tile=tile, deflate=True, rows_per_strip=4))
  monkeypatch.setattr(tiff_blocks, '_MAX_PIXELS', 10_000)
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 10_000)
  windows = tiff_windows.open_windows(path)
  np.testing.assert_array_equal(windows.read(Box(3, 5, 88, 1999)), samples[3:88, 5:1999])


def test_blocks_that_are_too_large_are_refused_with_the_remedy(tmp_path, monkeypatch):
  path = tmp_path / 'a.tif'
  samples = noise(3, np.uint8, 700, 600)
  path.write_bytes(tiff([samples], photometric=2, deflate=True, rows_per_strip=700))
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 256 * 256)
  with pytest.raises(UnreadableImageError, match=r'600x700 pixels in one piece.*tiles'):
    tiff_windows.open_windows(path)


def test_only_the_touched_blocks_are_decoded_and_once(tmp_path, monkeypatch):
  samples = noise(3, np.uint8, 1100, 600)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([samples], photometric=2, deflate=True, rows_per_strip=100))
  decoded, read = [], images.read_image
  monkeypatch.setattr(images, 'read_image', lambda content: decoded.append(1) or read(content))
  windows = tiff_windows.open_windows(path)
  windows.read(Box(10, 0, 250, 300))
  windows.read(Box(10, 300, 250, 600))
  assert len(decoded) == 1  # 300 rows are decoded together.
  windows.read(Box(500, 300, 700, 600))
  assert len(decoded) == 3


def test_kept_blocks_do_not_grow_beyond_their_limit(tmp_path, monkeypatch):
  samples = noise(3, np.uint8, 1100, 600)
  path = tmp_path / 'a.tif'
  path.write_bytes(tiff([samples], photometric=2, tile=128))
  monkeypatch.setattr(tiff_windows, '_CACHED_BYTES', 2 * 256 * 256 * 3)
  windows = tiff_windows.open_windows(path)
  np.testing.assert_array_equal(windows.read(Box(0, 0, 1100, 600)), samples)
  assert 0 < windows._kept_bytes <= 2 * 256 * 256 * 3


def _read_whole(path):
  windows = tiff_windows.open_windows(path)
  return images.read_image(path) if windows is None else windows.read(Box(0, 0, *windows.size))


@pytest.mark.parametrize('cut', [6, 30, 200, -5, -1000])
def test_truncated_files_are_refused(tmp_path, cut):
  content = tiff([noise(3, np.uint8, HEIGHT, WIDTH)], photometric=2, tile=64, deflate=True)
  path = tmp_path / 'a.tif'
  path.write_bytes(content[:cut])
  with pytest.raises(UnreadableImageError):
    _read_whole(path)


def test_mutated_directories_raise_only_errors_of_the_package(tmp_path):
  content = tiff([noise(3, np.uint8, 40, 50)], photometric=2, tile=16, deflate=True)
  path = tmp_path / 'a.tif'
  rng = np.random.default_rng(0)
  start = int.from_bytes(content[4:8], 'little')
  for _ in range(300):
    changed = bytearray(content)
    changed[rng.integers(start, len(content))] = rng.integers(256)
    path.write_bytes(bytes(changed))
    try:
      windows = tiff_windows.open_windows(path)
      if windows and max(windows.size) < 100:
        windows.read(Box(0, 0, *windows.size))
    except UnreadableImageError:
      pass


def test_other_files_have_no_windows(tmp_path):
  path = tmp_path / 'a.png'
  Image.fromarray(noise(3, np.uint8)).save(path)
  assert tiff_windows.open_windows(path) is None
