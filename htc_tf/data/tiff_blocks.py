"""Where the blocks of the pages of a TIFF file are, of which windows are decoded."""

from typing import BinaryIO, NamedTuple

import numpy as np

from htc_tf.data import exif, tiff_directory, tiff_parts, tiff_tags
from htc_tf.data.tiff_directory import Directory
from htc_tf.data.tiff_parts import Part

_WANTED = frozenset(
  [
    *(*tiff_parts.COPIED, tiff_tags.KIND, exif.ORIENTATION_TAG, tiff_tags.WIDTH, tiff_tags.HEIGHT),
    *(tiff_tags.STRIPS, tiff_tags.ROWS_PER_STRIP, tiff_tags.STRIP_BYTES),
    *(tiff_tags.TILE_WIDTH, tiff_tags.TILE_HEIGHT, tiff_tags.TILES, tiff_tags.TILE_BYTES),
  ]
)
_UNCOMPRESSED, _OLD_JPEG = 1, 6
_SUBSAMPLED = 6  # Luminance and chrominance, whose rows may not be apart.
# Blocks are decoded together until their sides have at least this number of pixels, unless they are
# so wide that they would be too large.
_MIN_SIDE, _MAX_PIXELS = 256, 2**23


class Blocks(NamedTuple):
  """Blocks of a page, in rows and columns.

  Attributes:
    tags: entries of the page.
    height: height of the page in pixels.
    width: width in pixels.
    block_hw: height and width of a block; those at the border may reach beyond the page if tiles.
    is_tiled: whether the blocks are tiles; otherwise they are strips of the whole width.
    positions: [planes, rows, columns] place of each block in the file.
    lengths: [planes, rows, columns] number of bytes.
    order: order of bytes, '<' or '>'.
  """

  tags: Directory
  height: int
  width: int
  block_hw: tuple[int, int]
  is_tiled: bool
  positions: np.ndarray
  lengths: np.ndarray
  order: str

  @property
  def orientation(self) -> int:
    """EXIF orientation, 1..8."""
    found = _number(self.tags, exif.ORIENTATION_TAG, exif.UPRIGHT, self.order)
    return found if found in range(1, 9) else exif.UPRIGHT

  @property
  def together(self) -> tuple[int, int]:
    """Number of rows and of columns of blocks that are decoded together."""
    height, width = self.block_hw
    columns = -(-_MIN_SIDE // width)
    limit = max(1, _MAX_PIXELS // (height * width * columns))
    return min(-(-_MIN_SIDE // height), limit), columns

  @property
  def pixels_together(self) -> int:
    """Number of pixels that are decoded together at most."""
    (rows, columns), (height, width) = self.together, self.block_hw
    return min(rows * height, self.height) * min(columns * width, self.width)

  def part(self, stream: BinaryIO, rows: range, columns: range) -> Part:
    """The blocks of some rows and columns, read from the file."""
    block_height, block_width = self.block_hw
    height = min(rows.stop * block_height, self.height) - rows.start * block_height
    width = min(columns.stop * block_width, self.width) - columns.start * block_width
    contents = []
    for plane in range(len(self.positions)):
      chosen = np.s_[plane, rows.start : rows.stop, columns.start : columns.stop]
      contents.append(_read(stream, self.positions[chosen], self.lengths[chosen]))
    blocks = [block for content in contents for block in content]
    if _is_splittable(self.tags, self.is_tiled, self.order):
      block_height, blocks = height, [b''.join(content) for content in contents]
    return Part(self.tags, height, width, (block_height, block_width), self.is_tiled, blocks)


def read_blocks(stream: BinaryIO, limit: int) -> list[Blocks] | None:
  """The blocks of the pages of a TIFF file, without smaller copies and masks.

  Args:
    stream: the open file.
    limit: number of pages after which no more are read.

  Returns:
    None if the file is no TIFF file, or windows of it cannot be read: a compression that needs the
    whole page, or an unusual layout.

  Raises:
    UnreadableImageError: the file is damaged.
  """
  order = tiff_directory.byte_order(stream)
  if order is None:
    return None
  pages = []
  for index, tags in enumerate(tiff_directory.read(stream, _WANTED, limit)):
    if _number(tags, tiff_tags.KIND, 0, order) & tiff_tags.EXTRA_PAGE:
      if not index:
        return None
      continue
    blocks = _blocks(tags, order)
    if blocks is None:
      return None
    pages.append(blocks)
  return pages or None


def _number(tags: Directory, tag: int, default: int, order: str) -> int:
  if tag not in tags:
    return default
  values = tiff_directory.numbers(tags[tag], order)
  return int(values[0]) if len(values) else default


def _is_splittable(tags: Directory, is_tiled: bool, order: str) -> bool:
  """Whether the rows of a strip are one behind the other in the file."""
  return (
    not is_tiled
    and _number(tags, tiff_tags.COMPRESSION, _UNCOMPRESSED, order) == _UNCOMPRESSED
    and _number(tags, tiff_tags.PHOTOMETRIC, tiff_tags.BLACK_IS_ZERO, order) != _SUBSAMPLED
  )


def _blocks(tags: Directory, order: str) -> Blocks | None:
  """The blocks of a page; None if they cannot be read apart."""

  def number(tag: int, default: int) -> int:
    return _number(tags, tag, default, order)

  height, width = number(tiff_tags.HEIGHT, 0), number(tiff_tags.WIDTH, 0)
  is_tiled = tiff_tags.TILES in tags
  block_height = min(number(tiff_tags.ROWS_PER_STRIP, height), height)
  block_hw = (block_height, width)
  if is_tiled:
    block_hw = (number(tiff_tags.TILE_HEIGHT, 0), number(tiff_tags.TILE_WIDTH, 0))
  places = (tiff_tags.TILES, tiff_tags.TILE_BYTES)
  if not is_tiled:
    places = (tiff_tags.STRIPS, tiff_tags.STRIP_BYTES)
  is_known = number(tiff_tags.COMPRESSION, _UNCOMPRESSED) != _OLD_JPEG
  if min(height, width, *block_hw) < 1 or not is_known or not set(places) <= set(tags):
    return None
  planes = number(tiff_tags.CHANNELS, 1) if number(tiff_tags.PLANAR, 1) == 2 else 1
  grid = (planes, -(-height // block_hw[0]), -(-width // block_hw[1]))
  positions, lengths = (tiff_directory.numbers(tags[place], order) for place in places)
  if not len(positions) == len(lengths) == np.prod(grid):
    return None
  found = Blocks(
    tags,
    height,
    width,
    block_hw,
    is_tiled,
    positions.reshape(grid),
    lengths.reshape(grid),
    order,
  )
  return _rows_apart(found) if _is_splittable(tags, is_tiled, order) else found


def _rows_apart(blocks: Blocks) -> Blocks:
  """Strips of one row each, of uncompressed ones of any height."""
  rows_per_strip, height = blocks.block_hw[0], blocks.height
  channels = (
    1 if len(blocks.positions) > 1 else _number(blocks.tags, tiff_tags.CHANNELS, 1, blocks.order)
  )
  bits = _number(blocks.tags, tiff_tags.BITS, 1, blocks.order)
  row_bytes = -(-blocks.width * channels * bits // 8)
  strips, within = np.divmod(np.arange(height), rows_per_strip)
  rows_of_strip = np.minimum(height - strips * rows_per_strip, rows_per_strip)
  if (blocks.lengths[:, strips, 0] < rows_of_strip * row_bytes).any():
    return blocks  # Too short: the decoder names what is wrong.
  positions = blocks.positions[:, strips, 0] + within * row_bytes
  return blocks._replace(
    block_hw=(1, blocks.width),
    positions=positions[..., np.newaxis],
    lengths=np.full_like(positions, row_bytes)[..., np.newaxis],
  )


def _read(stream: BinaryIO, positions: np.ndarray, lengths: np.ndarray) -> list[bytes]:
  blocks = []
  for position, length in zip(positions.ravel().tolist(), lengths.ravel().tolist()):
    stream.seek(position)
    blocks.append(stream.read(length))
  return blocks
