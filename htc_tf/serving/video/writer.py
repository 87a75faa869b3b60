"""The growing files of a video: one with overlays, and one with a line of JSON for each frame."""

import json
import os
import pathlib
from typing import Any, Protocol

import cv2
import numpy as np

from htc_tf import files
from htc_tf.errors import InputError, StorageError

_CODEC = 'mp4v'
_MAX_STEM = 100


class GrowingFile(Protocol):
  """A hidden file that gets its name when it is finished.

  Attributes:
    ending: what follows the stem in its name: the end of the stem, and the suffix.
  """

  ending: tuple[str, str]

  def finish(self, path: str) -> None:
    """End the file and give it its name."""

  def remove(self) -> None:
    """Remove what is not finished."""


class OverlayFile:
  """An MP4 file that is written frame by frame.

  Codecs store color for squares of four pixels. A frame of odd width or height therefore gets one
  more column or row, a copy of the last one.

  Args:
    folder: an existing folder.
    stem: the beginning of its name.
    frame_rate: frames per second.
  """

  ending = ('_overlay', '.mp4')

  def __init__(self, folder: str, stem: str, frame_rate: float):
    self._growing = _hidden(folder, stem, self.ending)
    self._frame_rate = frame_rate
    self._writer: cv2.VideoWriter | None = None
    self._num_frames = 0

  def write(self, frame: np.ndarray) -> None:
    """Append a frame, [height, width, 3] uint8 RGB, of the size of the others."""
    height, width = frame.shape[:2]
    even = np.pad(frame, [(0, height % 2), (0, width % 2), (0, 0)], mode='edge')
    if self._writer is None:
      self._writer = self._open(even.shape[1], even.shape[0])
    self._writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
    self._num_frames += 1

  def finish(self, path: str) -> None:
    """End the file and give it its name.

    Raises:
      StorageError: frames are missing in it.
    """
    if self._writer is None:
      return
    self._writer.release()
    written = cv2.VideoCapture(self._growing, cv2.CAP_FFMPEG)
    num_frames = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
    written.release()
    if num_frames != self._num_frames:  # OpenCV says nothing if it cannot write.
      raise StorageError(
        f'{path} cannot be written',
        expected=f'{self._num_frames} frames in the file',
        got=str(num_frames),
        likely_cause='a full disk or a used-up quota; make room and run the same command again',
      )
    os.replace(self._growing, path)

  def remove(self) -> None:
    """Remove what is not finished."""
    if self._writer is not None:
      self._writer.release()
    pathlib.Path(self._growing).unlink(missing_ok=True)

  def _open(self, width: int, height: int) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(
      self._growing,
      cv2.CAP_FFMPEG,
      cv2.VideoWriter.fourcc(*_CODEC),
      self._frame_rate,
      (width, height),
    )
    if not writer.isOpened():
      raise StorageError(
        f'{self._growing} cannot be written',
        expected=f'an MP4 file of {width} x {height} at {self._frame_rate:g} frames per second',
        got='no file',
        likely_cause='a folder without permission, a full disk, or frames that are too large',
      )
    return writer


class LinesFile:
  """A file of JSON lines.

  Args:
    folder: an existing folder.
    stem: the beginning of its name.
  """

  ending = ('', '.jsonl')

  def __init__(self, folder: str, stem: str):
    self._growing = _hidden(folder, stem, self.ending)
    self._stream = open(self._growing, 'xb')  # noqa: SIM115 (closed by `finish` or `remove`)
    self._length = 0  # Without a line that a full disk has cut.

  def write(self, line: dict[str, Any]) -> None:
    """Append a line."""
    self._length += self._stream.write(json.dumps(line, allow_nan=False).encode() + b'\n')
    self._stream.flush()

  def finish(self, path: str) -> None:
    """End the file and give it its name."""
    self._stream.close()
    os.truncate(self._growing, min(self._length, os.path.getsize(self._growing)))
    os.replace(self._growing, path)

  def remove(self) -> None:
    """Remove what is not finished."""
    self._stream.close()
    pathlib.Path(self._growing).unlink(missing_ok=True)


def _hidden(folder: str, stem: str, ending: tuple[str, str]) -> str:
  """Path of a file while it grows."""
  try:
    stem.encode()
  except UnicodeEncodeError:  # OpenCV ends the process for a name that is no text.
    stem = os.fsencode(stem).hex()[:_MAX_STEM]
  path = files.temporary_path(os.path.join(os.path.abspath(folder), ''.join((stem, *ending))))
  try:
    path.encode()
  except UnicodeEncodeError as error:
    raise InputError(
      'The output folder cannot hold videos',
      expected='a name in UTF-8',
      got=ascii(folder),
      likely_cause='a folder that was named with another encoding; name another --output',
    ) from error
  return path
