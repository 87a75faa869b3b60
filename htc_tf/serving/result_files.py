"""The JSON files of a prediction, which are complete files at any time while it runs."""

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from htc_tf import files, interruption
from htc_tf.serving.appended_bytes import AppendedBytes

NAMES = PREDICTIONS_FILE, IMAGES_FILE = 'predictions.json', 'images.json'
# At least this time passes from one copy to the next, and many times what a copy takes.
_INTERVAL_SECONDS = 5.0
_INTERVAL_PER_COPY = 20.0


class ResultFiles:
  """`predictions.json` and `images.json`; use it in a `with` block.

  Entries are appended to files without names. At intervals, complete files made from them replace
  `predictions.json` and `images.json`, so that even a killed process leaves what was done until
  then. Copies take at most a twentieth of the time. Nothing is kept in memory.

  Args:
    output: an existing folder.
    categories: entries of the categories.
    describe: function from the number of written images to the message after an interruption.
    clock: function that returns a time in seconds.
  """

  def __init__(
    self,
    output: str,
    categories: Sequence[dict[str, Any]],
    describe: Callable[[int], str],
    clock: Callable[[], float] = time.monotonic,
  ):
    end = b'], "annotations": [], "categories": ' + json.dumps(list(categories)).encode() + b'}'
    # Images come first: every image of the predictions is in the images at any time.
    self._images = _GrowingList(os.path.join(output, IMAGES_FILE), b'{"images": [', end)
    self._predictions = _GrowingList(os.path.join(output, PREDICTIONS_FILE), b'[', b']')
    self._clock = clock
    self._due = clock()
    # Number of complete images, and the lengths of both files with them. An interruption may come
    # at any moment, so that they change together.
    self._done = (0, self._images.length, self._predictions.length)
    self._undone = interruption.undone_at_end(self._end, lambda: describe(self._done[0]))

  def __enter__(self) -> 'ResultFiles':
    self._undone.__enter__()
    return self

  def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
    self._end(is_complete=error is None)
    self._undone.__exit__(kind, error, trace)

  def add(self, image: dict[str, Any], results: Iterable[dict[str, Any]]) -> None:
    """Append an image with its results."""
    self._images.append([image])
    self._predictions.append(results)
    self._done = (self._done[0] + 1, self._images.length, self._predictions.length)
    start = self._clock()
    if start >= self._due:
      self._write()
      now = self._clock()
      self._due = now + max(_INTERVAL_SECONDS, _INTERVAL_PER_COPY * (now - start))

  def _write(self) -> None:
    _, images_length, predictions_length = self._done
    self._images.write(images_length)
    self._predictions.write(predictions_length)

  def _end(self, is_complete: bool = False) -> None:
    """Write the files, and drop what was appended.

    After an error or interruption without any image, the files of an earlier run stay.
    """
    try:
      if is_complete or self._done[0]:
        self._write()
    finally:
      self._images.remove()
      self._predictions.remove()


class _GrowingList:
  """A list in a JSON file, whose entries are appended to a file without a name.

  Args:
    path: the JSON file.
    before: its content before the entries.
    after: its content after the entries.

  Attributes:
    length: number of bytes of the content without `after`.
  """

  def __init__(self, path: str, before: bytes, after: bytes):
    self._path, self._before, self._after = path, before, after
    self._content = AppendedBytes(os.path.dirname(path))
    self._content.append(before)

  @property
  def length(self) -> int:
    return self._content.length

  def append(self, entries: Iterable[dict[str, Any]]) -> None:
    for entry in entries:
      separator = b'\n' if self.length == len(self._before) else b',\n'
      line = json.dumps(entry, separators=(',', ':'), allow_nan=False).encode()
      self._content.append(separator + line)

  def write(self, length: int) -> None:
    """Replace the file by the entries in the first `length` bytes."""
    with files.replaced_when_written(self._path) as temporary, open(temporary, 'wb') as target:
      self._content.copy(target, length)
      target.write(self._after)

  def remove(self) -> None:
    self._content.close()
