"""Gray PNG files that are written row by row, so that large ones need little memory."""

import struct
import zlib
from typing import BinaryIO

import numpy as np

from htc_tf.data import png_file


class GrayRows:
  """A PNG file of one channel of 8 or 16 bits; rows are appended in bands.

  Args:
    stream: open file.
    height: number of rows.
    width: number of columns.
    bits: 8 or 16.
  """

  def __init__(self, stream: BinaryIO, height: int, width: int, bits: int):
    self._stream = stream
    self._compressor = zlib.compressobj(png_file.COMPRESSION)
    self._type = f'>u{bits // 8}'
    self._above = np.zeros([1, width * bits // 8], np.uint8)
    stream.write(png_file.SIGNATURE)
    gray = png_file.COLOR_TYPES[1]
    header = struct.pack('>IIBBBBB', width, height, bits, gray, 0, 0, 0)
    stream.write(png_file.chunk(b'IHDR', header))

  def append(self, band: np.ndarray) -> None:
    """Append rows, [rows, width] of whole numbers that the bits can hold."""
    rows = np.ascontiguousarray(band, self._type).view(np.uint8)
    lines = png_file.filtered(rows, self._above)
    self._above = rows[-1:].copy()
    self._write(self._compressor.compress(lines.tobytes()))

  def finish(self) -> None:
    """Write the end of the file; all rows must have been appended."""
    self._write(self._compressor.flush())
    self._stream.write(png_file.chunk(b'IEND', b''))

  def _write(self, data: bytes) -> None:
    if data:
      self._stream.write(png_file.chunk(b'IDAT', data))
