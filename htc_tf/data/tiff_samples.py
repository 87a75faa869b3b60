"""Samples of TIFF files as they are stored: any number of channels, of 8 or 16 bits.

Pillow and OpenCV read TIFF files of some numbers of channels. Pillow does read every file of one
channel, with every compression. So a page is read as one or several pictures of one channel: of all
samples of a row side by side, or of the samples of a channel if these are stored apart.
"""

import io
import struct

import numpy as np
from PIL import Image

from htc_tf.data import tiff_pages, tiff_tags
from htc_tf.data.pillow_warnings import without_limit, without_warnings
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.data.tiff_pages import Page

_SHORT, _LONG = 3, 4
_HEADER_BYTES = 8
_ENTRY_BYTES = 12
_BLACK_IS_ZERO = 1


def read_samples(content: bytes) -> np.ndarray | None:
  """The channels of all pages of a TIFF file, [height, width, channels] uint8 or uint16.

  Args:
    content: content of a file of any type.

  Returns:
    None if the file is no TIFF file, or if its samples stand for something else than channels of 8
    or 16 bits; see `tiff_pages.read_pages`.

  Raises:
    UnreadableImageError: the file is damaged, or there are too many channels or samples, or pages
      of different sizes.
  """
  pages = tiff_pages.read_pages(content)
  if not pages:
    return None
  return np.concatenate([_read_page(content, page) for page in pages], axis=-1)


def _read_page(content: bytes, page: Page) -> np.ndarray:
  channels = page.format.num_channels
  if page.is_planar:
    number = len(page.blocks) // channels
    starts = range(0, number * channels, number) if number else ()
    planes = [
      _read_plane(content, page, page.blocks[start : start + number], 1) for start in starts
    ]
    if len(planes) != channels:
      raise UnreadableImageError('The TIFF file is damaged', got='a channel without data')
    samples = np.concatenate(planes, axis=-1)
  else:
    samples = _read_plane(content, page, page.blocks, channels)
  if page.is_inverted and channels == 1:
    samples = np.iinfo(samples.dtype).max - samples
  return samples


def _read_plane(
  content: bytes, page: Page, blocks: tuple[tuple[int, int], ...], channels: int
) -> np.ndarray:
  """Samples [height, width, channels] that are stored together."""
  file = _gray_file(content, page, blocks, channels)
  try:
    with without_warnings(), without_limit():
      image = Image.open(io.BytesIO(file), formats=['TIFF'])
      image.load()
    flat = np.asarray(image).reshape(page.height, page.width, channels)
  except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error) as error:
    raise UnreadableImageError(
      'The TIFF file cannot be decoded',
      got=str(error),
      likely_cause='a truncated file, or a rare compression: save it with another one',
    ) from error
  samples = flat.astype(page.format.dtype)
  return _sums(samples, page) if page.predictor == tiff_pages.DIFFERENCES else samples


def _sums(samples: np.ndarray, page: Page) -> np.ndarray:
  """Samples from the differences between neighbors in the rows of each block."""
  width = page.block_hw[1]
  return np.concatenate(
    [
      np.cumsum(samples[:, left : left + width], axis=1, dtype=samples.dtype)
      for left in range(0, page.width, width)
    ],
    axis=1,
  )


def _gray_file(
  content: bytes, page: Page, blocks: tuple[tuple[int, int], ...], channels: int
) -> bytes:
  """A TIFF file of one channel with the given compressed blocks, all samples of a row in a row."""
  order = tiff_tags.BYTE_ORDERS[content[:2]]
  parts = [content[position : position + length] for position, length in blocks]
  starts = _HEADER_BYTES + np.cumsum([0, *map(len, parts)])
  block_height, block_width = page.block_hw
  tags: dict[int, tuple[int, list[int]]] = {
    256: (_LONG, [page.width * channels]),
    257: (_LONG, [page.height]),
    258: (_SHORT, [page.format.bits]),
    259: (_SHORT, [page.compression]),
    262: (_SHORT, [_BLACK_IS_ZERO]),
    277: (_SHORT, [1]),
  }
  positions, lengths = (_LONG, starts[:-1].tolist()), (_LONG, list(map(len, parts)))
  if page.is_tiled:
    size = {322: (_LONG, [block_width * channels]), 323: (_LONG, [block_height])}
    tags.update({**size, 324: positions, 325: lengths})
  else:
    tags.update({273: positions, 278: (_LONG, [block_height]), 279: lengths})
  body = b''.join(parts)
  body += bytes(len(body) % 2)
  directory = _HEADER_BYTES + len(body)
  header = content[:2] + struct.pack(f'{order}HL', 42, directory)
  return header + body + _directory(tags, directory, order)


def _directory(tags: dict[int, tuple[int, list[int]]], start: int, order: str) -> bytes:
  """The directory of a TIFF file, in ascending order of the tags, and the values behind it."""
  entries, values = [], b''
  behind = start + 2 + _ENTRY_BYTES * len(tags) + 4
  for tag, (kind, numbers) in sorted(tags.items()):
    packed = struct.pack(f'{order}{len(numbers)}{"H" if kind == _SHORT else "L"}', *numbers)
    if len(packed) > 4:
      place = struct.pack(f'{order}L', behind + len(values))
      values += packed
    else:
      place = packed.ljust(4, b'\0')
    entries.append(struct.pack(f'{order}HHL', tag, kind, len(numbers)) + place)
  number = struct.pack(f'{order}H', len(entries))
  return number + b''.join(entries) + bytes(4) + values
