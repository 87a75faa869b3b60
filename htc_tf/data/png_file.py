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
_COMPRESSION = 4


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
  above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
  lines = np.concatenate([np.full([height, 1], _FILTER_UP, np.uint8), rows - above], axis=1)
  header = struct.pack(
    '>IIBBBBB', width, height, 8 * samples.itemsize, COLOR_TYPES[channels], 0, 0, 0
  )
  return b''.join(
    [
      SIGNATURE,
      _chunk(b'IHDR', header),
      _chunk(b'IDAT', zlib.compress(lines.tobytes(), _COMPRESSION)),
      _chunk(b'IEND', b''),
    ]
  )


def _chunk(kind: bytes, data: bytes) -> bytes:
  return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
