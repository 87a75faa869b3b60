"""Tags of the pages of TIFF files, read without decoding anything."""

import io
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import TiffImagePlugin

from htc_tf.data.pillow_warnings import without_warnings

BYTE_ORDERS = {b'II': '<', b'MM': '>'}
KIND, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIPS, CHANNELS, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
PLANAR, PREDICTOR, SAMPLE_TYPE = 284, 317, 339
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 322, 323, 324, 325
EXTRA_PAGE = 1 | 4  # Bits of KIND: a smaller copy of another page, and a mask.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
# What Pillow raises for damaged tags.
MALFORMED = (
  ArithmeticError,
  LookupError,
  OSError,
  SyntaxError,
  TypeError,
  ValueError,
  struct.error,
)
_BIG_TIFF = b'+'  # 43, the version of TIFF with offsets of 64 bits.


def pages(content: bytes, limit: int) -> Iterator[Mapping[int, Any]]:
  """The tags of each page; none if the file is no TIFF file. A value is decoded when it is read.

  Args:
    content: content of a file of any type.
    limit: number of pages after which no more are read.

  Raises:
    Exception: one of `MALFORMED`; the tags are damaged.
  """
  if content[:2] not in BYTE_ORDERS:
    return
  stream = io.BytesIO(content)
  header = stream.read(8)
  if _BIG_TIFF in header[2:4]:  # In either order of bytes.
    header += stream.read(8)
  position = TiffImagePlugin.ImageFileDirectory_v2(header).next
  for _ in range(limit):
    if not position:
      return
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    stream.seek(position)
    with without_warnings():
      directory.load(stream)
    yield directory
    position = directory.next


def first_value(content: bytes, tag: int, default: int) -> int:
  """Value of a tag of the first page, the largest if it has several.

  Args:
    content: content of a file of any type.
    tag: number of the tag.
    default: value for another file, damaged tags, or a page without the tag.
  """
  try:
    for tags in pages(content, 1):
      with without_warnings():
        value = tags.get(tag, default)
      return int(max(value) if isinstance(value, tuple) else value)
  except MALFORMED:
    pass
  return default
