"""Tests of TIFF files of any number of channels, in files that are written byte by byte."""

import itertools

import numpy as np
import pytest

from htc_tf.data import images, tiff_samples
from htc_tf.data.sample_format import SampleFormat
from tests.data.tiff_writer import tiff

RNG = np.random.default_rng(0)


def noise(channels, dtype=np.uint16, height=21, width=34):
  return RNG.integers(0, np.iinfo(dtype).max + 1, [height, width, channels], dtype)


LAYOUTS = [
  dict(zip(('order', 'planar', 'tile', 'deflate'), values))
  for values in itertools.product('<>', (False, True), (0, 16), (False, True))
]


@pytest.mark.parametrize('layout', LAYOUTS, ids=str)
@pytest.mark.parametrize('channels, dtype', [(1, np.uint16), (2, np.uint8), (6, np.uint16)])
def test_every_layout_gives_the_samples(layout, channels, dtype):
  samples = noise(channels, dtype)
  source = images.read_image(tiff([samples], **layout))
  assert source.sample_format == SampleFormat(channels, 8 * samples.itemsize)
  np.testing.assert_array_equal(source.samples(source.sample_format), samples)


def test_pages_are_channels_without_smaller_copies():
  pages = [noise(1), noise(2), noise(1)]
  content = tiff(pages)
  np.testing.assert_array_equal(tiff_samples.read_samples(content), np.concatenate(pages, axis=2))
  copies = tiff([noise(1)], extra_tags=[(254, 1)])
  assert tiff_samples.read_samples(copies) is None


def test_white_may_be_0():
  samples = noise(1, np.uint8)
  content = tiff([samples], photometric=0)
  np.testing.assert_array_equal(tiff_samples.read_samples(content), 255 - samples)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('channels', [3, 6])
def test_samples_are_turned_upright_as_pixels_are(orientation, channels):
  """Pillow, the oracle, turns the first three channels."""
  samples = noise(channels, np.uint8)
  tags = [(274, orientation)]
  turned = images.read_image(tiff([samples], extra_tags=tags, photometric=1 + (channels == 3)))
  first = np.ascontiguousarray(samples[..., :3])
  expected = images.read_image(tiff([first], extra_tags=tags, photometric=2)).pixels()
  found = turned.samples(SampleFormat(channels, 8)) if channels != 3 else turned.pixels()
  np.testing.assert_array_equal(found[..., :3], expected)
  assert turned.size == expected.shape[:2]
  stored = images.read_image(tiff([samples], extra_tags=tags), upright=False)
  np.testing.assert_array_equal(stored.samples(stored.sample_format), samples)


@pytest.mark.parametrize(
  'content, message',
  [
    (tiff([noise(1), noise(1, height=5)]), r'pages.*not channels of one image.*34x5'),
    (tiff([noise(1, height=2)] * 65), r'too many channels.*at most 64'),
    (tiff([noise(6).astype(np.float32)]), 'cannot be|floating-point'),
    (tiff([noise(6).astype(np.int16)]), 'cannot be'),
    (tiff([noise(6)])[:900], 'cannot be|damaged'),
    (tiff([noise(6)], deflate=True).replace(b'\x78\x9c', b'\0\0'), 'cannot be'),
  ],
  ids=['sizes', 'film', 'floats', 'signed', 'truncated', 'damaged'],
)
def test_other_tiff_files_are_refused_with_the_cause(content, message):
  with pytest.raises(images.UnreadableImageError, match=message):
    images.read_image(content).sample_format  # noqa: B018


def test_channels_without_colors_are_not_made_rgb():
  source = images.read_image(tiff([noise(6)]))
  with pytest.raises(images.UnreadableImageError, match=r'6 channels.*--channels=keep'):
    source.pixels()
  assert source.is_reduced


def test_a_file_too_large_is_not_decoded():
  """The tags state 60 million pixels, or 10 million of 16 channels; there are no samples."""
  for shape in ((6000, 10_000, 1), (2000, 5000, 16)):
    page = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (1, 1, shape[2]), (0, 0, 0))
    content = tiff([page], rows_per_strip=1)
    for old, new in ((256, shape[1]), (257, shape[0])):
      tag = old.to_bytes(2, 'little') + b'\x04\0\x01\0\0\0'
      content = content.replace(tag + (1).to_bytes(4, 'little'), tag + new.to_bytes(4, 'little'))
    with pytest.raises(images.UnreadableImageError, match=r'too many (pixels|samples)'):
      images.read_image(content)
