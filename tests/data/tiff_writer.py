"""A writer of plain TIFF files in every layout, independent of Pillow and OpenCV."""

import struct
import zlib

import numpy as np


def tiff(
  pages,
  order='<',
  planar=False,
  tile=0,
  deflate=False,
  photometric=1,
  extra_tags=(),
  rows_per_strip=3,
) -> bytes:
  """The content of a TIFF file.

  Args:
    pages: images [height, width, channels] of one type.
    order: byte order, '<' or '>'.
    planar: whether each channel is stored apart.
    tile: side of the tiles; 0 for strips.
    deflate: whether blocks are compressed, after taking differences of neighbors.
    photometric: meaning of the samples: 0 white is 0, 1 black is 0, 2 RGB.
    extra_tags: further tags, (tag, value) of type SHORT, of every page.
    rows_per_strip: number of rows of a strip.
  """
  content = bytearray((b'II' if order == '<' else b'MM') + struct.pack(f'{order}HL', 42, 0))
  link = 4
  for page in pages:
    blocks = _blocks(page, order, planar, tile, deflate, rows_per_strip)
    offsets = []
    for block in blocks:
      offsets.append(len(content))
      content += block + bytes(len(block) % 2)
    tags = _tags(page, planar, deflate, photometric) + [(t, 3, [v]) for t, v in extra_tags]
    sizes = [len(block) for block in blocks]
    if tile:
      tags += [(322, 4, [tile]), (323, 4, [tile]), (324, 4, offsets), (325, 4, sizes)]
    else:
      tags += [(273, 4, offsets), (278, 4, [rows_per_strip]), (279, 4, sizes)]
    content[link : link + 4] = struct.pack(f'{order}L', len(content))
    link = _add_directory(content, tags, order)
  return bytes(content)


def _tags(page, planar, deflate, photometric):
  height, width, channels = page.shape
  return [
    (256, 4, [width]),
    (257, 4, [height]),
    (258, 3, [8 * page.itemsize] * channels),
    (259, 3, [8 if deflate else 1]),
    (262, 3, [photometric]),
    (277, 3, [channels]),
    (284, 3, [2 if planar else 1]),
    (317, 3, [2 if deflate else 1]),
    (339, 3, [{'u': 1, 'i': 2, 'f': 3}[page.dtype.kind]] * channels),
  ]


def _blocks(page, order, planar, tile, deflate, rows_per_strip):
  planes = np.split(page, page.shape[2], axis=2) if planar else [page]
  blocks = []
  for plane in planes:
    for part in _tiles(plane, tile) if tile else _strips(plane, rows_per_strip):
      stored = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1])) if deflate else part
      data = stored.astype(part.dtype.newbyteorder(order)).tobytes()
      blocks.append(zlib.compress(data) if deflate else data)
  return blocks


def _strips(plane, rows):
  return [plane[top : top + rows] for top in range(0, plane.shape[0], rows)]


def _tiles(plane, side):
  height, width = plane.shape[:2]
  padded = np.pad(plane, [(0, -height % side), (0, -width % side), (0, 0)])
  return [
    padded[top : top + side, left : left + side]
    for top in range(0, height, side)
    for left in range(0, width, side)
  ]


def _add_directory(content, tags, order):
  """Append a directory; the position of the link to the next one."""
  start = len(content)
  link = start + 2 + 12 * len(tags)
  behind = b''
  content += struct.pack(f'{order}H', len(tags))
  for tag, kind, values in sorted(tags):
    data = struct.pack(f'{order}{len(values)}{"H" if kind == 3 else "L"}', *values)
    if len(data) > 4:
      place = struct.pack(f'{order}L', link + 4 + len(behind))
      behind += data
    else:
      place = data.ljust(4, b'\0')
    content += struct.pack(f'{order}HHL', tag, kind, len(values)) + place
  content += bytes(4) + behind
  return link
