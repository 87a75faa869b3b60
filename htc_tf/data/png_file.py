"""PNG files of 1 to 4 channels of 8 or 16 bits: their header, and how they are written.

Pillow writes no colors of 16 bits, and OpenCV no gray with alpha.
"""

import struct
import zlib

import numpy as np

from htc_tf.data.sample_format import SampleFormat

SIGNATURE = b'\x89PNG\r\n\x1a\n'
MAX_CHANNELS = 4
# Byte of the file with the number of bits, and with the type of the colors.
BIT_DEPTH_BYTE, COLOR_TYPE_BYTE = 24, 25
# Type of the colors by number of channels: gray, gray with alpha, RGB, RGB with alpha.
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_CHANNELS = {color_type: channels for channels, color_type in COLOR_TYPES.items()}
_FILTER_UP = 2  # Samples are stored as the difference from the row above.
COMPRESSION = 4


def plain_format(content: bytes) -> SampleFormat | None:
  """Channels and bits of the samples in a PNG file, by its header.

  Returns:
    None if the file is no PNG, has a palette, or has fewer bits than 8.
  """
  if not content.startswith(SIGNATURE) or len(content) <= COLOR_TYPE_BYTE:
    return None
  bits, channels = content[BIT_DEPTH_BYTE], _CHANNELS.get(content[COLOR_TYPE_BYTE])
  return SampleFormat(channels, bits) if channels and bits >= 8 else None


def write(samples: np.ndarray) -> bytes:
  """The content of a PNG file of [height, width, channels], 1 to 4 channels, uint8 or uint16."""
  height, width, channels = samples.shape
  rows = samples.astype(samples.dtype.newbyteorder('>')).reshape(height, -1).view(np.uint8)
  lines = filtered(rows, np.zeros_like(rows[:1]))
  header = struct.pack(
    '>IIBBBBB', width, height, 8 * samples.itemsize, COLOR_TYPES[channels], 0, 0, 0
  )
  return b''.join(
    [
      SIGNATURE,
      chunk(b'IHDR', header),
      chunk(b'IDAT', zlib.compress(lines.tobytes(), COMPRESSION)),
      chunk(b'IEND', b''),
    ]
  )


def filtered(rows: np.ndarray, above: np.ndarray) -> np.ndarray:
  """Rows as they are compressed, with the number of the filter before each.

  Args:
    rows: [num, bytes] uint8.
    above: [1, bytes] uint8 row above the first one; 0 for the first row of an image.
  """
  differences = rows - np.concatenate([above, rows[:-1]])
  return np.concatenate([np.full([len(rows), 1], _FILTER_UP, np.uint8), differences], axis=1)


def chunk(kind: bytes, data: bytes) -> bytes:
  """A piece of the file with its length and checksum."""
  return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
