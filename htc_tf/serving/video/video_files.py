"""All files of a video, which have the same frames however the prediction ends."""

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from htc_tf import files
from htc_tf.serving.video.writer import GrowingFile, LinesFile, OverlayFile

# Frames that wait for being written: the detection of a frame overlaps the writing of others.
_MAX_WAITING = 4


class VideoFiles:
  """The files of a video.

  Another thread writes them. An interruption thus never comes between the line of a frame and its
  overlay, because Python interrupts the main thread alone.

  The files of a whole video replace those of an earlier run. The files of a part get names with
  `.partial`, or `.partial2` and so on, that no file has yet, and nothing removes them.

  Args:
    folder: an existing folder.
    stem: the beginning of the names.
    frame_rate: frames per second.
    has_overlay: whether there is a file with overlays.

  Attributes:
    num_frames: number of frames that are in all files.
    paths: the files, after `end`.
  """

  def __init__(self, folder: str, stem: str, frame_rate: float, has_overlay: bool):
    self._path = os.path.join(folder, stem)
    self._overlay = OverlayFile(folder, stem, frame_rate) if has_overlay else None
    self._lines = LinesFile(folder, stem)
    self._thread = futures.ThreadPoolExecutor(1)
    self._waiting: list[futures.Future[None]] = []
    self._is_broken = self._is_ended = False
    self.num_frames = 0
    self.paths: list[str] = []

  @property
  def _files(self) -> Sequence[GrowingFile]:
    return [self._overlay, self._lines] if self._overlay else [self._lines]

  def add(self, draw: Callable[[], np.ndarray], line: dict[str, Any]) -> None:
    """Append a frame.

    Args:
      draw: function that returns the overlay, [height, width, 3] uint8 RGB.
      line: content of the line.

    Raises:
      HTCError, OSError: an earlier frame could not be written.
    """
    self._waiting.append(self._thread.submit(self._write, draw, line))
    while len(self._waiting) > _MAX_WAITING:
      self._waiting.pop(0).result()

  def end(self, is_complete: bool) -> list[str]:
    """Name the files and return their paths, the first time; without any frame, there are none.

    Args:
      is_complete: whether all frames of the video were added.

    Raises:
      HTCError, OSError: a frame could not be written.
    """
    if self._is_ended:
      return []
    last = self._thread.submit(self._end, is_complete)
    try:
      for waiting in self._waiting if is_complete else ():
        waiting.result()
    finally:
      paths = last.result()
      self._thread.shutdown()
    return paths

  def _write(self, draw: Callable[[], np.ndarray], line: dict[str, Any]) -> None:
    if self._is_broken:
      return  # A later frame must not take the place of one that is missing.
    try:
      if self._overlay is not None:
        self._overlay.write(draw())
      self._lines.write(line)
      self.num_frames += 1
    except BaseException:
      self._is_broken = True
      raise

  def _end(self, is_complete: bool) -> list[str]:
    if self._is_ended:
      return []
    self._is_ended, is_complete = True, is_complete and not self._is_broken
    try:
      if self.num_frames:
        self.paths = self._named('') if is_complete else self._reserved()
      for file, path in zip(self._files, self.paths):
        file.finish(path)
    except BaseException:
      if not is_complete:
        self._remove_empty()
      self.paths = []
      raise
    finally:
      for file in self._files:
        with contextlib.suppress(OSError):
          file.remove()
    return self.paths

  def _named(self, part: str) -> list[str]:
    endings = [file.ending for file in self._files]
    return [f'{self._path}{name}{part}{suffix}' for name, suffix in endings]

  def _reserved(self) -> list[str]:
    """Paths for the files of a part, where there are empty files now."""
    number, paths = 1, self._named('.partial')
    while not files.reserve(paths):
      number += 1
      paths = self._named(f'.partial{number}')
    return paths

  def _remove_empty(self) -> None:
    """Remove the files of `_reserved` whose place no file has taken."""
    for path in self.paths:
      with contextlib.suppress(OSError):
        if not os.path.getsize(path):
          os.remove(path)
