"""TIFF files of any size, which are written with little memory."""

import struct
import zlib

import numpy as np


def write(path, height, width, tile=0, deflate=True, block=None):
  """Write an RGB file of 8 bits with repeated content, block by block.

  Args:
    path: path of the file.
    height: number of rows.
    width: number of columns.
    tile: side of the tiles; 0 for strips of 64 rows.
    deflate: whether blocks are compressed.
    block: function from the number of a block row and column to its pixels [rows, columns, 3]; by
      default, some disks on a ground of few colors.
  """
  rows, columns = (tile, tile) if tile else (64, width)
  grid = [
    (row, column) for row in range(-(-height // rows)) for column in range(-(-width // columns))
  ]
  block = block or _disks(rows, columns)
  positions, lengths = [], []
  with open(path, 'wb') as file:
    file.write(b'II*\0' + bytes(4))
    for row, column in grid:
      count = rows if tile else min(rows, height - row * rows)
      data = block(row, column)[:count].tobytes()
      data = zlib.compress(data, 1) if deflate else data
      positions.append(file.tell())
      lengths.append(len(data))
      file.write(data)
    _write_directory(file, height, width, (rows, columns), tile, deflate, positions, lengths)


def _disks(rows, columns):
  """Blocks of disks, of which four are computed once."""
  y, x = np.mgrid[:rows, :columns]
  made = []
  for number in range(4):
    pixels = np.full((rows, columns, 3), 20 + 10 * number, np.uint8)
    pixels[(y - rows // 2) ** 2 + (x % 97 - 48) ** 2 < (rows // (3 + number)) ** 2] = (200, 90, 40)
    made.append(pixels)
  return lambda row, column: made[(row * 2 + column) % 4]


def _write_directory(file, height, width, block_hw, tile, deflate, positions, lengths):
  tags = {256: [width], 257: [height], 258: [8, 8, 8], 259: [8 if deflate else 1], 262: [2]}
  tags.update({277: [3], 284: [1]})
  if tile:
    tags.update({322: [block_hw[1]], 323: [block_hw[0]], 324: positions, 325: lengths})
  else:
    tags.update({273: positions, 278: [block_hw[0]], 279: lengths})
  file.write(bytes(file.tell() % 2))
  start = file.tell()
  behind = start + 2 + 12 * len(tags) + 4
  entries, values = b'', b''
  for tag, numbers in sorted(tags.items()):
    packed = struct.pack(f'<{len(numbers)}L', *numbers)
    place = packed
    if len(packed) > 4:
      place = struct.pack('<L', behind + len(values))
      values += packed
    entries += struct.pack('<HHL', tag, 4, len(numbers)) + place
  file.write(struct.pack('<H', len(tags)) + entries + bytes(4) + values)
  file.seek(4)
  file.write(struct.pack('<L', start))
