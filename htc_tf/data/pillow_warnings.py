"""Reading of files with Pillow without its warnings, or without its limit of pixels."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

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
  _IGNORED.enter()
  try:
    yield
  finally:
    _IGNORED.leave()


class _IgnoredWarnings:
  """Filters of warnings that are there while any thread needs them.

  Python's own context restores the filters that it found, so that contexts of two threads which
  overlap would leave filters for good.
  """

  def __init__(self) -> None:
    self._lock = threading.Lock()
    self._num_users = 0
    self._filters: Any = None

  def enter(self) -> None:
    with self._lock:
      if not self._num_users:
        self._filters = warnings.catch_warnings()
        self._filters.__enter__()
        warnings.simplefilter('ignore', UserWarning)
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
      self._num_users += 1

  def leave(self) -> None:
    with self._lock:
      self._num_users -= 1
      if not self._num_users:
        self._filters.__exit__(None, None, None)


_IGNORED = _IgnoredWarnings()
