"""Pictures as part of an HTML page."""

import base64
import io
import math
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from htc_tf.errors import InputError
from htc_tf.reports import markup

_SIGNATURES = {b'\x89PNG\r\n\x1a\n': 'image/png', b'\xff\xd8\xff': 'image/jpeg'}
_JPEG_OPTIONS = {'quality': 90, 'subsampling': 0, 'optimize': True}


def picture_markup(image: np.ndarray | bytes, alt: str) -> str:
  """An img element that contains its picture.

  Args:
    image: [height, width, 3] uint8 RGB, or the bytes of a PNG or JPEG file. An array is stored as
      PNG or JPEG, whichever needs fewer bytes.
    alt: description for readers who do not see the picture.

  Raises:
    InputError: it is neither.
  """
  encoded = image if isinstance(image, bytes) else encode(image)
  types = [kind for signature, kind in _SIGNATURES.items() if encoded.startswith(signature)]
  if not types:
    raise InputError(
      'A picture cannot be put on the page',
      expected='the bytes of a PNG or JPEG file',
      got=f'{len(encoded)} bytes that start with {encoded[:8]!r}',
    )
  with Image.open(io.BytesIO(encoded)) as picture:
    width, height = picture.size
  return _image_element(types[0], encoded, alt, width=width, height=height)


def drawing_markup(svg: str, alt: str) -> str:
  """An img element that contains an SVG drawing.

  As an image, a drawing runs no script, loads nothing, and shares no names or styles with the page
  or other drawings.

  Args:
    svg: an SVG document.
    alt: description for readers who do not see the drawing.

  Raises:
    InputError: it is no SVG document.
  """
  try:
    root = ElementTree.fromstring(svg)
  except ElementTree.ParseError as error:
    raise InputError(
      'A drawing cannot be put on the page', expected='an SVG document', got=str(error)
    ) from None
  if root.tag != '{http://www.w3.org/2000/svg}svg':
    raise InputError(
      'A drawing cannot be put on the page',
      expected='an element svg with the name space http://www.w3.org/2000/svg',
      got=root.tag,
    )
  return _image_element('image/svg+xml', svg.encode('utf-8'), alt)


def encode(image: np.ndarray) -> bytes:
  """An image as PNG or JPEG file, whichever needs fewer bytes.

  Args:
    image: [height, width, 3] uint8 RGB.

  Raises:
    InputError: it has another shape or type.
  """
  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
    raise InputError(
      'A picture cannot be put on the page',
      expected='[height, width, 3] of uint8',
      got=f'{list(image.shape)} of {image.dtype}',
    )
  files = [_saved(image, 'JPEG', _JPEG_OPTIONS)]
  # Encoding a photograph as PNG takes most of the time, and the file is always larger.
  if _has_few_colors(image):
    files.append(_saved(image, 'PNG', {}))
  return min(files, key=len)


def _saved(image: np.ndarray, name: str, options: dict[str, Any]) -> bytes:
  stream = io.BytesIO()
  Image.fromarray(image).save(stream, format=name, **options)
  return stream.getvalue()


def _has_few_colors(image: np.ndarray) -> bool:
  """Whether the pixels of a grid have at most an eighth as many colors."""
  step = max(1, math.isqrt(image.shape[0] * image.shape[1]) // 64)
  pixels = image[::step, ::step].reshape(-1, 3)
  return len(np.unique(pixels, axis=0)) <= max(8, len(pixels) // 8)


def _image_element(kind: str, content: bytes, alt: str, **sizes: int) -> str:
  source = f'data:{kind};base64,{base64.b64encode(content).decode("ascii")}'
  return markup.empty_element('img', src=source, alt=alt, **sizes)
