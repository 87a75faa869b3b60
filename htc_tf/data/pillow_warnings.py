"""Reading of files with Pillow without its warnings."""

import contextlib
import warnings
from collections.abc import Iterator

from PIL import Image


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
