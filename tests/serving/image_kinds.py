"""Files of one picture in many forms of JPEG, PNG, TIFF and others, with the pixels they mean."""

import dataclasses
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

_RNG = np.random.default_rng(0)
HW = (20, 28)
_RGB = _RNG.integers(0, 256, (*HW, 3), np.uint8)
_GRAY = _RNG.integers(0, 256, HW, np.uint8)
_DEEP_RGB = _RNG.integers(0, 65536, (*HW, 3), np.uint16)
_DEEP_GRAY = _RNG.integers(0, 65536, HW, np.uint16)
_CMYK = _RNG.integers(0, 256, (*HW, 4), np.uint8)
_PALETTE = _RNG.integers(0, 256, (256, 3), np.uint8)


@dataclasses.dataclass
class Kind:
  """A file: its name and content, the expected pixels, and whether a server decodes the file.

  `expected` is a text if the file must be refused: a pattern for the message.
  """

  name: str
  content: bytes
  expected: np.ndarray | str
  served: bool = True


def _save(image, form, **options):
  buffer = io.BytesIO()
  image.save(buffer, form, **options)
  return buffer.getvalue()


def _chunk(kind, data):
  body = kind + data
  return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))


def _png(samples, bits, color_type, before=b'', after=b''):
  """A PNG file of samples [height, width, channels], written without an image library."""
  height, width, channels = samples.shape
  if bits == 16:
    rows = [row.astype('>u2').tobytes() for row in samples]
  else:
    places = np.unpackbits(samples.astype(np.uint8)[..., np.newaxis], axis=-1)[..., 8 - bits :]
    rows = [np.packbits(row.reshape(-1)).tobytes() for row in places]
    assert channels == 1 or bits == 8
  header = struct.pack('>IIBBBBB', width, height, bits, color_type, 0, 0, 0)
  data = zlib.compress(b''.join(b'\0' + row for row in rows))
  return (
    b'\x89PNG\r\n\x1a\n'
    + _chunk(b'IHDR', header)
    + before
    + _chunk(b'IDAT', data)
    + after
    + _chunk(b'IEND', b'')
  )


def _tiff(samples, order='<', orientation=1, photometric=None, is_float=False):
  """A TIFF file of samples [height, width, channels], written without an image library."""
  height, width, channels = samples.shape
  data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
  bits = samples.dtype.itemsize * 8
  entries = [
    (256, 4, 1, width),
    (257, 4, 1, height),
    (258, 3, channels, bits if channels == 1 else 8 + len(data)),
    (259, 3, 1, 1),
    (262, 3, 1, (2 if channels == 3 else 1) if photometric is None else photometric),
    (273, 4, 1, 8),
    (274, 3, 1, orientation),
    (277, 3, 1, channels),
    (278, 4, 1, height),
    (279, 4, 1, len(data)),
    (339, 3, 1 if channels == 1 else channels, 3 if is_float else 1),
  ]
  formats = b'' if channels == 1 else struct.pack(order + 'HHH', *[3 if is_float else 1] * 3)
  sizes = b'' if channels == 1 else struct.pack(order + 'HHH', *[bits] * 3)
  if channels == 3:
    entries[-1] = (339, 3, 3, 8 + len(data) + len(sizes))
  directory = struct.pack(order + 'H', len(entries))
  for tag, kind, count, value in entries:
    is_short = kind == 3 and count == 1
    directory += struct.pack(order + ('HHIHxx' if is_short else 'HHII'), tag, kind, count, value)
  start = 8 + len(data) + len(sizes) + len(formats)
  magic = b'II' if order == '<' else b'MM'
  head = magic + struct.pack(order + 'HI', 42, start)
  return head + data + sizes + formats + directory + bytes(4)


def _to_8_bits(samples):
  return np.rint(samples / 257).astype(np.uint8)


def _three(gray):
  return np.repeat(gray[..., np.newaxis], 3, axis=-1)


def _turned(pixels, orientation):
  """The upright pixels, from the definition: where row 0 and column 0 of the stored image lie."""
  turn: dict[int, Callable] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
  }
  return turn[orientation](pixels)


def _exif(orientation):
  exif = Image.Exif()
  exif[0x010F] = 'a camera'
  exif[0x0112] = orientation
  return exif


def _decoded(content):
  return np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))


def _jpegs():
  cmyk = Image.frombytes('CMYK', HW[::-1], _CMYK)
  files = {
    'gray.jpg': _save(Image.fromarray(_GRAY), 'JPEG'),
    'color.jpg': _save(Image.fromarray(_RGB), 'JPEG'),
    'subsampled.jpg': _save(Image.fromarray(_RGB), 'JPEG', subsampling=2),
    'progressive.jpg': _save(Image.fromarray(_RGB), 'JPEG', progressive=True, subsampling=1),
  }
  for name, content in files.items():
    yield Kind(name, content, _decoded(content))
  with_marker = _save(cmyk, 'JPEG', quality=95)
  inks = np.asarray(Image.open(io.BytesIO(with_marker))).astype(int)
  light = (255 - inks[..., :3]) * (255 - inks[..., 3:]) // 255
  yield Kind('cmyk.jpg', with_marker, light.astype(np.uint8))
  start = with_marker.index(b'Adobe') - 4
  length = int.from_bytes(with_marker[start + 2 : start + 4], 'big')
  without = with_marker[:start] + with_marker[start + 2 + length :]
  # Without the marker, the stored numbers are the inks; Pillow has inverted them.
  light = inks[..., :3] * inks[..., 3:] // 255
  yield Kind('cmyk_without_marker.jpg', without, light.astype(np.uint8))
  for orientation in range(1, 9):
    content = _save(Image.fromarray(_RGB), 'JPEG', exif=_exif(orientation))
    expected = _turned(_decoded(content), orientation)
    yield Kind(f'orientation_{orientation}.jpg', content, expected)
  damaged = _save(Image.fromarray(_RGB), 'JPEG', exif=b'Exif\0\0II*\0\xff\xff\xff\xff')
  yield Kind('damaged_exif.jpg', damaged, _decoded(_save(Image.fromarray(_RGB), 'JPEG')))
  xmp = b'<x:xmpmeta tiff:Orientation="6"/>'
  only_xmp = _save(Image.fromarray(_RGB), 'JPEG', xmp=xmp)
  yield Kind('orientation_in_xmp_alone.jpg', only_xmp, _decoded(only_xmp))


def _pngs():
  yield Kind('gray.png', _png(_GRAY[..., np.newaxis], 8, 0), _three(_GRAY))
  yield Kind('color.png', _png(_RGB, 8, 2), _RGB)
  deep_gray = _png(_DEEP_GRAY[..., np.newaxis], 16, 0)
  yield Kind('deep_gray.png', deep_gray, _three(_to_8_bits(_DEEP_GRAY)))
  yield Kind('deep_color.png', _png(_DEEP_RGB, 16, 2), _to_8_bits(_DEEP_RGB))
  deep_alpha = np.dstack([_DEEP_RGB, _DEEP_GRAY])
  yield Kind('deep_rgba.png', _png(deep_alpha, 16, 6), _to_8_bits(_DEEP_RGB))
  deep_la = np.dstack([_DEEP_GRAY, _DEEP_RGB[..., 0]])
  yield Kind('deep_la.png', _png(deep_la, 16, 4), _three(_to_8_bits(_DEEP_GRAY)))
  deep_turned = _png(_DEEP_RGB, 16, 2, before=_chunk(b'eXIf', _exif(6).tobytes()[6:]))
  yield Kind('deep_turned.png', deep_turned, _turned(_to_8_bits(_DEEP_RGB), 6))
  yield Kind('la.png', _png(np.dstack([_GRAY, _RGB[..., 0]]), 8, 4), _three(_GRAY))
  yield Kind('rgba.png', _png(np.dstack([_RGB, _GRAY]), 8, 6), _RGB)
  for bits in (1, 2, 4):
    levels = (_GRAY % np.int64(2**bits)).astype(np.uint8)
    scaled = _three((levels * (255 // (2**bits - 1))).astype(np.uint8))
    yield Kind(f'gray_{bits}_bit.png', _png(levels[..., np.newaxis], bits, 0), scaled)
  for bits in (1, 2, 4, 8):
    indices = (_GRAY % np.int64(2**bits)).astype(np.uint8)
    colors = _PALETTE[: 2**bits]
    for name, chunk in (('', b''), ('transparent_', _chunk(b'tRNS', b'\0\x80'))):
      content = _png(indices[..., np.newaxis], bits, 3, _chunk(b'PLTE', colors.tobytes()) + chunk)
      yield Kind(f'{name}palette_{bits}_bit.png', content, colors[indices])
  transparent = _png(_RGB, 8, 2, _chunk(b'tRNS', _RGB[0, 0].astype('>u2').tobytes()))
  yield Kind('transparent_color.png', transparent, _RGB)
  turned = _chunk(b'eXIf', _exif(8).tobytes()[6:])
  yield Kind('turned.png', _png(_RGB, 8, 2, before=turned), _turned(_RGB, 8))
  yield Kind('turned_at_the_end.png', _png(_RGB, 8, 2, after=turned), _turned(_RGB, 8))
  gamma = _chunk(b'gAMA', struct.pack('>I', 100_000))
  yield Kind('gamma.png', _png(_RGB, 8, 2, before=gamma), _RGB)
  yield Kind('deep_gamma.png', _png(_DEEP_RGB, 16, 2, before=gamma), _to_8_bits(_DEEP_RGB))
  yield Kind('trailing_bytes.png', _png(_RGB, 8, 2) + b'trailing', _RGB)
  gray_transparent = _chunk(b'tRNS', _DEEP_GRAY[0, :1].astype('>u2').tobytes())
  deep_transparent = _png(_DEEP_GRAY[..., np.newaxis], 16, 0, before=gray_transparent)
  yield Kind('deep_gray_transparent.png', deep_transparent, _three(_to_8_bits(_DEEP_GRAY)))
  # Only Pillow accepts a PNG file without an end.
  yield Kind('without_end.png', _png(_RGB, 8, 2)[:-12], _RGB, served=False)


def _tiffs():
  gray, deep_gray = _GRAY[..., np.newaxis], _DEEP_GRAY[..., np.newaxis]
  deep = _three(_to_8_bits(_DEEP_GRAY))
  for name, content, expected in (
    ('gray.tif', _tiff(gray), _three(_GRAY)),
    ('color.tif', _tiff(_RGB), _RGB),
    ('deep_gray.tif', _tiff(deep_gray), deep),
    ('deep_gray_big_endian.tif', _tiff(deep_gray, '>'), deep),
    ('deep_white_is_zero.tif', _tiff(65535 - deep_gray, photometric=0), deep),
    ('deep_color.tif', _tiff(_DEEP_RGB), _to_8_bits(_DEEP_RGB)),
    ('deep_color_big_endian.tif', _tiff(_DEEP_RGB, '>'), _to_8_bits(_DEEP_RGB)),
    ('turned.tif', _tiff(_RGB, orientation=6), _turned(_RGB, 6)),
    (
      'float.tif',
      _tiff(gray / np.float32(510) - np.float32(0.25), is_float=True),
      r'-0\.25\.\.0\.2',
    ),
    ('float_color.tif', _tiff(_RGB.astype(np.float32), is_float=True), r'0\.\.255'),
    ('integers_of_32_bits.tif', _tiff(gray.astype(np.uint32) + 65500), r'65500\.\.65755'),
  ):
    yield Kind(name, content, expected, served=False)
  for orientation in (2, 3, 5, 6, 7):
    content = _tiff(_DEEP_RGB, orientation=orientation)
    expected = _turned(_to_8_bits(_DEEP_RGB), orientation)
    yield Kind(f'deep_color_{orientation}.tif', content, expected, served=False)


def _others():
  yield Kind('color.bmp', _save(Image.fromarray(_RGB), 'BMP'), _RGB, served=False)
  yield Kind('color.webp', _save(Image.fromarray(_RGB), 'WEBP', lossless=True), _RGB, served=False)
  gif = Image.frombytes('P', HW[::-1], _GRAY)
  gif.putpalette(_PALETTE.tobytes())
  yield Kind('palette.gif', _save(gif, 'GIF'), _PALETTE[_GRAY], served=False)


def _more_tiffs():
  cmyk = Image.frombytes('CMYK', HW[::-1], _CMYK)
  inks = _CMYK.astype(int)
  light = ((255 - inks[..., :3]) * (255 - inks[..., 3:]) // 255).astype(np.uint8)
  yield Kind('cmyk.tif', _save(cmyk, 'TIFF'), light, served=False)
  palette = Image.frombytes('P', HW[::-1], _GRAY)
  palette.putpalette(_PALETTE.tobytes())
  content = _save(palette, 'TIFF', compression='tiff_lzw')
  yield Kind('palette.tif', content, _PALETTE[_GRAY], served=False)
  deep = _save(Image.fromarray(_DEEP_GRAY), 'TIFF', compression='tiff_deflate')
  yield Kind('compressed.tif', deep, _three(_to_8_bits(_DEEP_GRAY)), served=False)
  pages = [Image.fromarray(_RGB), Image.fromarray(255 - _RGB)]
  content = _save(pages[0], 'TIFF', save_all=True, append_images=pages[1:])
  yield Kind('first_page.tif', content, _RGB, served=False)


KINDS = [*_jpegs(), *_pngs(), *_tiffs(), *_more_tiffs(), *_others()]
