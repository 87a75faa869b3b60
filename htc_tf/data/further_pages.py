"""Pages and frames of an image file behind the first one, which is the one that is read."""

import io

from PIL import Image

from htc_tf.data import tiff_tags
from htc_tf.data.pillow_warnings import without_warnings

_ANIMATED = ('GIF', 'PNG', 'WEBP', 'AVIF')
_MAX_PAGES = 64


def has_further_pages(content: bytes, file_format: str) -> bool:
  """Whether a file holds other images than the first one.

  Smaller copies and masks in a TIFF file are not other images, and neither are the previews in a
  JPEG file of a phone.

  Args:
    content: content of the file; empty if the image was given as pixels.
    file_format: Pillow's name of the format of the file.
  """
  if file_format == 'TIFF':
    return _has_further_tiff_pages(content)
  if file_format not in _ANIMATED or not content:
    return False
  with without_warnings():
    return bool(getattr(Image.open(io.BytesIO(content)), 'is_animated', False))


def _has_further_tiff_pages(content: bytes) -> bool:
  num_pages = 0
  try:
    # The limit bounds the time for a file whose pages form a circle.
    for tags in tiff_tags.pages(content, _MAX_PAGES):
      num_pages += not tags.get(tiff_tags.KIND, 0) & tiff_tags.EXTRA_PAGE
      if num_pages > 1:
        return True
  except tiff_tags.MALFORMED:
    return False
  return False
