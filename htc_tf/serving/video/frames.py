"""Frames of a video file."""

import contextlib
import math
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

from htc_tf import file_errors
from htc_tf.errors import InputError

SUFFIXES = ('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv')
# Files without a frame rate, or with one that is a time base instead.
_ASSUMED_RATE, _MAX_RATE = 25.0, 1000.0
_MAX_STATED = 2**31
# Files of these kinds count their frames; for others, FFmpeg derives the number from the duration.
_COUNTED = ('.mp4', '.m4v', '.mov', '.avi')
# An edit list may hide some frames.
_MAX_MISSING, _MAX_MISSING_SHARE = 2, 0.01


def is_video(path: str) -> bool:
  """Whether the name of a file is that of a video."""
  return path.lower().endswith(SUFFIXES)


class TimedFrame(NamedTuple):
  """A frame of a video.

  Attributes:
    time: when it is shown, in seconds.
    pixels: [height, width, 3] uint8 RGB.
  """

  time: float
  pixels: np.ndarray


class VideoFrames:
  """The frames of a video in order, each once; use it in a `with` block.

  One frame is in memory at a time. Frames are upright: a rotation that the file states is applied.

  Args:
    path: path of the file.

  Attributes:
    frame_rate: frames per second.
    stated: number of frames that the file states, which may be wrong; None if it states none.
    notes: what is unusual, in words.

  Raises:
    InputError: (when made) the file cannot be read, or has no frames.
  """

  def __init__(self, path: str):
    self._path = path
    self.notes: list[str] = []
    self._end = contextlib.ExitStack()
    with file_errors.as_input_errors(reading=True):
      if not stat.S_ISREG(os.stat(path).st_mode):  # Opening a pipe would wait for its other end.
        raise InputError(f'{path} cannot be read', expected='a file', got='a folder or device')
    try:
      self._capture = self._open()
      first = self._read()
      if first is None:
        raise self._unreadable('no frame that can be decoded')
    except BaseException:
      self._end.close()
      raise
    self._first, self._first_time = first, self._stated_time()
    self.frame_rate = self._frame_rate()
    stated = self._property(cv2.CAP_PROP_FRAME_COUNT)
    self.stated = int(stated) if 0 < stated < _MAX_STATED else None

  def __enter__(self) -> 'VideoFrames':
    return self

  def __exit__(self, *_: Any) -> None:
    self._end.close()

  def __iter__(self) -> Iterator[np.ndarray]:
    """The frames, [height, width, 3] uint8 RGB; errors as for `timed`."""
    for frame in self.timed():
      yield frame.pixels

  def timed(self) -> Iterator[TimedFrame]:
    """The frames with the times that the file states, as recordings of phones need.

    Frames of these have no constant rate. Where times do not grow, the frame rate gives the next.

    Raises:
      InputError: a frame has another size than the first one, or cannot be read; or, after the last
        frame, the file states more frames and is of a kind that counts them.
    """
    frame: np.ndarray | None = self._first
    size, count, time = self._first.shape, 0, self._first_time
    while frame is not None:
      if frame.shape != size:
        sizes = ' after '.join(f'{width} x {height}' for height, width, _ in (frame.shape, size))
        raise self._unreadable(f'frame {count} of {sizes}')
      yield TimedFrame(time, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
      count += 1
      frame, before = self._read(), time
      time = self._stated_time()
      if time <= before:
        time = before + 1 / self.frame_rate
    if self._is_cut(count):
      raise InputError(
        f'{self._path} cannot be read to its end',
        expected=f'the {self.stated} frames that it states',
        got=str(count),
        likely_cause='a download or recording that was cut off',
      )
    if self.stated is not None and count != self.stated:
      self.notes.append(
        f'{self._path} states {self.stated} frames, and {count} could be read: it is damaged, or '
        'its header is wrong'
      )

  def _is_cut(self, count: int) -> bool:
    """Whether frames that the file surely had are missing at its end."""
    if self.stated is None or not self._path.lower().endswith(_COUNTED):
      return False
    return self.stated - count > max(_MAX_MISSING, _MAX_MISSING_SHARE * self.stated)

  def _open(self) -> cv2.VideoCapture:
    # FFmpeg takes text before a colon for a protocol, and OpenCV a percent sign for a pattern of
    # images, unless the path is absolute and FFmpeg reads it.
    path = os.path.abspath(self._path)
    try:
      path.encode()
    except UnicodeEncodeError:  # OpenCV ends the process for a name that is no text.
      number = os.open(path, os.O_RDONLY)
      self._end.callback(os.close, number)
      path = f'/proc/self/fd/{number}'
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    self._end.callback(capture.release)
    if not capture.isOpened():
      raise self._unreadable('a file that cannot be decoded')
    return capture

  def _read(self) -> np.ndarray | None:
    """The next frame as BGR, or None after the last one."""
    try:
      is_read, frame = self._capture.read()
    except cv2.error as error:
      raise self._unreadable(str(error)) from error
    return frame if is_read else None

  def _frame_rate(self) -> float:
    rate = self._property(cv2.CAP_PROP_FPS)
    if math.isfinite(rate) and 0 < rate <= _MAX_RATE:
      return rate
    self.notes.append(
      f'{self._path} states {rate:g} frames per second; {_ASSUMED_RATE:g} are assumed'
    )
    return _ASSUMED_RATE

  def _stated_time(self) -> float:
    """Time of the frame that was read last, in seconds; 0 if the file states none."""
    time = self._property(cv2.CAP_PROP_POS_MSEC) / 1000
    return max(time, 0.0) if math.isfinite(time) else 0.0

  def _property(self, number: int) -> float:
    return float(self._capture.get(number))

  def _unreadable(self, got: str) -> InputError:
    return InputError(
      f'{self._path} cannot be read',
      expected='a video with frames of one size',
      got=got,
      likely_cause='a damaged or incomplete file, or a codec that OpenCV lacks',
    )
