"""Reading of files with Pillow without its warnings, or without its limit of pixels."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import Image

_LIMIT_LOCK = threading.Lock()


@contextlib.contextmanager
def without_limit() -> Iterator[None]:
  """A context without Pillow's limit of pixels, for files whose size was checked before.

  Pillow would take the channels of an image side by side for pixels.
  """
  with _LIMIT_LOCK:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
      yield
    finally:
      Image.MAX_IMAGE_PIXELS = limit


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
  """A context without the warnings of Pillow, which would print lines of its source.

  They are about data that is not used, such as damaged EXIF data, and about large images: the limit
  of that warning is higher than the one of `images`.
  """
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    yield
