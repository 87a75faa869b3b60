"""Small TIFF files of some compressed blocks of a large one.

Such a file has the colors, the depth, the compression and the tables of the large one, so that
every reader of TIFF files decodes it to the same pixels.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.data import tiff_directory, tiff_tags
from htc_tf.data.tiff_directory import Directory, Entry

# What pixels mean and how blocks are coded: bits, compression, colors, order of bits, channels,
# options of fax, planes, differences, palette, inks, alpha, type of samples, tables of JPEG, and
# the coefficients, subsampling, position and range of luminance and chrominance.
COPIED = (
  *(tiff_tags.BITS, tiff_tags.COMPRESSION, tiff_tags.PHOTOMETRIC, 266, tiff_tags.CHANNELS),
  *(292, 293, tiff_tags.PLANAR, tiff_tags.PREDICTOR, 320, 332, 338, tiff_tags.SAMPLE_TYPE),
  *(347, 529, 530, 531, 532),
)
_LONG, _LONG_OF_8_BYTES = 4, 16
_HEADER_BYTES, _ENTRY_BYTES = 8, 12


class Part(NamedTuple):
  """Blocks of a page.

  Attributes:
    tags: entries of the page of the large file.
    height: number of rows that the blocks cover.
    width: number of columns that the blocks cover.
    block_hw: height and width of a block.
    is_tiled: whether the blocks are tiles; otherwise they are strips.
    blocks: content of each block.
  """

  tags: Directory
  height: int
  width: int
  block_hw: tuple[int, int]
  is_tiled: bool
  blocks: Sequence[bytes]


def write(parts: Sequence[Part], order: str) -> bytes:
  """The content of a TIFF file with a page for each part.

  Args:
    parts: the pages.
    order: order of bytes, '<' or '>', which is that of the large file.
  """
  content = bytearray(_HEADER_BYTES)
  links = [4]  # Where the place of the next directory is written.
  for part in parts:
    positions = []
    for block in part.blocks:
      positions.append(len(content))
      content += block
    content += bytes(len(content) % 2)
    struct.pack_into(f'{order}L', content, links[-1], len(content))
    entries = _entries(part, positions, order)
    links.append(len(content) + 2 + _ENTRY_BYTES * len(entries))
    content += _directory(entries, len(content), order)
  struct.pack_into(f'{order}2sH', content, 0, {'<': b'II', '>': b'MM'}[order], 42)
  return bytes(content)


def _entries(part: Part, positions: Sequence[int], order: str) -> dict[int, Entry]:
  entries = {tag: _short(part.tags[tag], order) for tag in COPIED if tag in part.tags}
  block_height, block_width = part.block_hw
  numbers = {tiff_tags.WIDTH: [part.width], tiff_tags.HEIGHT: [part.height]}
  lengths = [len(block) for block in part.blocks]
  if part.is_tiled:
    numbers.update({tiff_tags.TILE_WIDTH: [block_width], tiff_tags.TILE_HEIGHT: [block_height]})
    numbers.update({tiff_tags.TILES: list(positions), tiff_tags.TILE_BYTES: lengths})
  else:
    numbers.update(
      {
        tiff_tags.STRIPS: list(positions),
        tiff_tags.ROWS_PER_STRIP: [block_height],
        tiff_tags.STRIP_BYTES: lengths,
      }
    )
  return {**entries, **{tag: _of_numbers(values, order) for tag, values in numbers.items()}}


def _short(entry: Entry, order: str) -> Entry:
  """The entry without numbers of 8 bytes, which only BigTIFF has."""
  if entry.kind != _LONG_OF_8_BYTES:
    return entry
  return _of_numbers(tiff_directory.numbers(entry, order).tolist(), order)


def _of_numbers(values: Sequence[int], order: str) -> Entry:
  return Entry(_LONG, len(values), np.array(values, f'{order}u4').tobytes())


def _directory(entries: Mapping[int, Entry], start: int, order: str) -> bytes:
  """A directory in ascending order of the tags, without a next one, and the values behind it."""
  packed, values = b'', b''
  behind = start + 2 + _ENTRY_BYTES * len(entries) + 4
  for tag, entry in sorted(entries.items()):
    place = entry.raw.ljust(4, b'\0')
    if len(place) > 4:
      place = struct.pack(f'{order}L', behind + len(values))
      values += entry.raw + bytes(len(entry.raw) % 2)
    packed += struct.pack(f'{order}HHL', tag, entry.kind, entry.length) + place
  return struct.pack(f'{order}H', len(entries)) + packed + bytes(4) + values
