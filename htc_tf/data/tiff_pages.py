"""Directories of TIFF files: the layout of each page, read without decoding anything."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from htc_tf.data import image_limits, tiff_tags
from htc_tf.data.pillow_warnings import without_warnings
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.data.sample_format import DEPTHS, MAX_CHANNELS, SampleFormat

# None, LZW, deflate (two numbers), PackBits, LZMA and Zstandard do not depend on the channels.
_COMPRESSIONS = (1, 5, 8, 32946, 32773, 34925, 50000)
# None, and differences between neighbors.
NO_PREDICTOR, DIFFERENCES = 1, 2
_UNSIGNED = (1, 4)  # 4 is an undefined type.


class Page(NamedTuple):
  """Layout of a page whose samples can be read as they are stored.

  Attributes:
    height: height in pixels.
    width: width in pixels.
    format: channels and bits.
    is_planar: whether each channel is stored on its own.
    is_inverted: whether 0 is white.
    compression: number of the compression.
    predictor: `NO_PREDICTOR` or `DIFFERENCES`.
    block_hw: height and width of a tile, or of a strip.
    is_tiled: whether the blocks are tiles.
    blocks: offset and number of bytes of each block.
  """

  height: int
  width: int
  format: SampleFormat
  is_planar: bool
  is_inverted: bool
  compression: int
  predictor: int
  block_hw: tuple[int, int]
  is_tiled: bool
  blocks: tuple[tuple[int, int], ...]


def read_pages(content: bytes) -> list[Page]:
  """The pages of a TIFF file that hold channels of the image, without smaller copies and masks.

  Args:
    content: content of a file of any type.

  Returns:
    An empty list if the file is no TIFF file, or if its samples stand for something else than
    channels of 8 or 16 bits: palettes, inks, JPEG data, other numbers of bits.

  Raises:
    UnreadableImageError: there are too many channels or samples, or pages of different sizes.
  """
  try:
    # More pages than an image may have channels are not read.
    with without_warnings():
      pages = [
        _layout(tags)
        for tags in tiff_tags.pages(content, MAX_CHANNELS + 1)
        if not tags.get(tiff_tags.KIND, 0) & tiff_tags.EXTRA_PAGE
      ]
  except tiff_tags.MALFORMED:
    return []
  plain = [page for page in pages if page is not None]
  if not plain or len(plain) < len(pages):
    return []
  _check(plain)
  return plain


def _layout(tags: Mapping[int, Any]) -> Page | None:
  """The layout of a page; None if its samples cannot be read as they are stored."""
  channels = int(tags.get(tiff_tags.CHANNELS, 1))
  bits = set(_numbers(tags.get(tiff_tags.BITS, 1)))
  photometric = tags.get(tiff_tags.PHOTOMETRIC)
  is_plain = (
    photometric in (tiff_tags.WHITE_IS_ZERO, tiff_tags.BLACK_IS_ZERO, tiff_tags.RGB)
    and len(bits) == 1
    and bits <= set(DEPTHS)
    and set(_numbers(tags.get(tiff_tags.SAMPLE_TYPE, 1))) <= set(_UNSIGNED)
    and tags.get(tiff_tags.COMPRESSION, 1) in _COMPRESSIONS
    and tags.get(tiff_tags.PREDICTOR, 1) in (NO_PREDICTOR, DIFFERENCES)
    and channels >= 1
  )
  if not is_plain:
    return None
  height, width, is_tiled = (
    int(tags[tiff_tags.HEIGHT]),
    int(tags[tiff_tags.WIDTH]),
    tiff_tags.TILES in tags,
  )
  block_hw = (min(int(tags.get(tiff_tags.ROWS_PER_STRIP, height)), height), width)
  if is_tiled:
    block_hw = (int(tags[tiff_tags.TILE_HEIGHT]), int(tags[tiff_tags.TILE_WIDTH]))
  positions = _numbers(tags[tiff_tags.TILES if is_tiled else tiff_tags.STRIPS])
  lengths = _numbers(tags[tiff_tags.TILE_BYTES if is_tiled else tiff_tags.STRIP_BYTES])
  if min(height, width, *block_hw) < 1 or len(positions) != len(lengths):
    return None
  return Page(
    height,
    width,
    SampleFormat(channels, bits.pop()),
    is_planar=tags.get(tiff_tags.PLANAR, 1) == 2 and channels > 1,
    is_inverted=photometric == tiff_tags.WHITE_IS_ZERO,
    compression=tags.get(tiff_tags.COMPRESSION, 1),
    predictor=tags.get(tiff_tags.PREDICTOR, NO_PREDICTOR),
    block_hw=block_hw,
    is_tiled=is_tiled,
    blocks=tuple(zip(positions, lengths)),
  )


def _numbers(value: Any) -> tuple[int, ...]:
  return tuple(map(int, value)) if isinstance(value, tuple) else (int(value),)


def _check(pages: list[Page]) -> None:
  first = pages[0]
  num_channels = sum(page.format.num_channels for page in pages)
  if num_channels > MAX_CHANNELS:
    raise UnreadableImageError(
      'The TIFF file has too many channels',
      expected=f'at most {MAX_CHANNELS}, those of all pages together',
      got=f'{num_channels} or more',
      likely_cause='a film or a stack of images: save each one to its own file',
    )
  sizes = {(page.height, page.width, page.format.bits) for page in pages}
  if len(sizes) > 1:
    raise UnreadableImageError(
      'The pages of the TIFF file are not channels of one image',
      expected='pages of one size and depth',
      got=', '.join(f'{width}x{height} of {bits} bits' for height, width, bits in sorted(sizes)),
      likely_cause='a document of several images: save the one that is meant to its own file',
    )
  image_limits.check_size(first.height, first.width, num_channels)
