"""The interface of the outputs of a prediction, and files that grow while it runs."""

import os
from typing import Protocol

from htc_tf import files
from htc_tf.serving.appended_bytes import AppendedBytes
from htc_tf.serving.detected_image import DetectedImage


class Output(Protocol):
  """A kind of file that a prediction writes."""

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Write the files of an image, each completely or not at all.

    Args:
      image: the image with the detections to write.
      stem: name for its files, without a suffix, which no other image has.
      name: name of the image in files about several images, which no other image has; by default
        that of its file.
      image_id: id of the image in files about several images, which no other image has; by default
        its number.

    Returns:
      Number of files.
    """

  def close(self) -> int:
    """Write what is of all images so far; returns the number of files."""

  def discard(self) -> None:
    """End without any image: what an earlier run wrote of all images stays."""


class FilesOfImages:
  """The end of outputs that have no files about all images."""

  def close(self) -> int:
    """Nothing is of all images."""
    return 0

  def discard(self) -> None:
    """Nothing is of all images."""


class GrowingFile:
  """A file that is written at the end, from lines that were appended before.

  Args:
    path: path of the file; its folder must exist.
  """

  def __init__(self, path: str):
    self._path = path
    self._lines = AppendedBytes(os.path.dirname(path))

  def append(self, line: bytes) -> None:
    """Append a line."""
    self._lines.append(line)

  def finish(self, before: bytes, after: bytes) -> None:
    """Write the file, with text before and after the lines."""
    with files.replaced_when_written(self._path) as temporary, open(temporary, 'wb') as target:
      target.write(before)
      self._lines.copy(target, self._lines.length)
      target.write(after)
    self.remove()

  def remove(self) -> None:
    """Drop the lines; the file of an earlier run stays."""
    self._lines.close()
