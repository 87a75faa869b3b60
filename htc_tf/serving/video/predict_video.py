"""Prediction on videos, which writes one with overlays and a line of JSON for each frame."""

import contextlib
import functools
import itertools
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

from absl import logging

from htc_tf import interruption, progress
from htc_tf.data import images as image_files
from htc_tf.errors import InputError
from htc_tf.serving import input_files, instance_entries, output_folder, overlap, predict_files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.predict_files import Detector
from htc_tf.serving.score_thresholds import ScoreThresholds
from htc_tf.serving.tally import Tally
from htc_tf.serving.video.drawing import draw_frame
from htc_tf.serving.video.frames import TimedFrame, VideoFrames
from htc_tf.serving.video.tracking import Tracker
from htc_tf.serving.video.video_files import VideoFiles

_OVERLAY = 'overlay'
# The end of a stem that looks as that of the files of a part; see `VideoFiles`.
_OF_PART = re.compile(r'\.(partial\d*)$', re.IGNORECASE)


class VideoOptions(NamedTuple):
  """How videos are predicted, and what is written.

  Attributes:
    output: output folder; it is created if missing.
    thresholds: smallest scores of the objects.
    batch_size: number of frames per call of the model.
    save: names of outputs: `overlay`, or none.
    track: whether objects get numbers that they keep from frame to frame.
  """

  output: str
  thresholds: ScoreThresholds = ScoreThresholds()
  batch_size: int = 1
  save: Sequence[str] = (_OVERLAY,)
  track: bool = False

  def check(self, paths: Sequence[str]) -> None:
    """Raise InputError unless the options can be used for videos.

    Args:
      paths: paths of the videos.
    """
    output_folder.check_options(self.output, self.batch_size, self.save)
    output_folder.protect_inputs(paths, self.output, 'videos')
    others = [name for name in self.save if name != _OVERLAY]
    if others:
      raise InputError(
        f'{paths[0]} is a video, which has other outputs than images',
        expected=f'--save={_OVERLAY}, or --save= for the lines of JSON alone',
        got=', '.join(others),
        likely_cause='a folder of images and videos: give the images by name',
      )


def predict_videos(
  detector: Detector,
  paths: Sequence[str],
  options: VideoOptions,
  log: Callable[[str], object] | None = None,
) -> list[str]:
  """Predict on videos; write `<stem>_overlay.mp4` and `<stem>.jsonl` for each.

  A line has `frame`, from 0, `time` in seconds as the file states it, `size` [height, width] and
  `instances`, see `instance_entries`, with `track` if objects are tracked. The overlay has the mean
  frame rate of the video. The files have these names when all frames are in them. After an
  interruption, files with `.partial` in their names have the frames that were done; see
  `VideoFiles`. The stem is that of the video, with an underscore for the point of a `.partial` at
  its end.

  Args:
    detector: the model.
    paths: paths of the videos; a repeated one is predicted once.
    options: how, and what is written.
    log: function that receives a line with the numbers of videos, frames, objects and files.

  Returns:
    Paths that could not be read, or not to the end; each is logged with the reason.

  Raises:
    InputError: the options cannot be used, or the model reads other images.
    StorageError: a file cannot be written.
  """
  options.check(paths)
  if not detector.sample_format.is_rgb:
    raise InputError(
      'The model cannot read videos',
      expected='a model of RGB images of 8 bits',
      got=f'one of images of {detector.sample_format}',
    )
  options.thresholds.of_classes(detector.category_names)  # Raises for a report of other classes.
  os.makedirs(options.output, exist_ok=True)
  unique = predict_files.each_once(paths)
  names, failed = input_files.OverlayNames(), []
  run = _Run(detector, options, Tally(unit='frame'), len(unique))
  for path in unique:
    try:
      run.predict(path, os.path.splitext(names(_without_part(path)))[0])
    except InputError as error:
      logging.error('%s', error)
      failed.append(path)
  if log is not None:
    log(run.describe())
  return failed


class _Run:
  """The prediction of several videos.

  Args:
    detector: the model.
    options: how, and what is written.
    tally: numbers of frames, objects and files.
    num_videos: number of all videos.
  """

  def __init__(self, detector: Detector, options: VideoOptions, tally: Tally, num_videos: int):
    self._detector, self._options, self._tally = detector, options, tally
    self._min_score = options.thresholds.of_classes(detector.category_names)
    self._num_videos, self._num_done, self._num_tracks = num_videos, 0, 0

  def predict(self, path: str, stem: str) -> None:
    """Predict on a video.

    Args:
      path: path of the video.
      stem: the beginning of the names of its files.

    Raises:
      InputError: it cannot be read, or not to the end; what could be read has partial files.
    """
    options, is_complete = self._options, False
    with VideoFrames(path) as frames:
      for note in frames.notes:
        logging.warning('%s', note)
      num_notes = len(frames.notes)
      files = VideoFiles(options.output, stem, frames.frame_rate, _OVERLAY in options.save)
      with interruption.undone_at_end(
        lambda: files.end(is_complete=False), lambda: self._how_far(path, files)
      ):
        try:
          self._predict_frames(frames, files, os.path.basename(path))
          is_complete = True
        except InputError:
          self._keep_part(path, files)
          raise
        finally:
          self._tally.num_files += len(files.end(is_complete))
    for note in frames.notes[num_notes:]:
      logging.warning('%s', note)
    self._num_done += 1

  def describe(self) -> str:
    """The numbers in one line."""
    rule = self._options.thresholds.describe(self._detector.category_names)
    tracks = f', {self._num_tracks} tracks' if self._options.track else ''
    counted = self._tally.describe(self._options.output, rule, ())
    return f'{self._num_done} of {self._num_videos} videos{tracks}, {counted}'

  def _keep_part(self, path: str, files: VideoFiles) -> None:
    paths = files.end(is_complete=False)
    self._tally.num_files += len(paths)
    if paths:
      logging.warning('%d frames of %s are in %s', files.num_frames, path, ' and '.join(paths))

  def _predict_frames(self, frames: VideoFrames, files: VideoFiles, name: str) -> None:
    tracker = Tracker() if self._options.track else None
    with (
      progress.bar(total=frames.stated, description=name, unit='frame') as bar,
      contextlib.closing(self._detected(frames)) as each,
    ):
      for number, (time, found) in enumerate(each):
        shown = found.filtered(self._min_score)
        ids = tracker.update(shown.instances) if tracker else None
        line = _line(number, time, shown, ids)
        files.add(functools.partial(draw_frame, shown, ids), line)
        self._tally.add(shown, 0)
        bar.update()
    self._num_tracks += tracker.num_tracks if tracker else 0

  def _detected(self, frames: VideoFrames) -> Generator[tuple[float, DetectedImage]]:
    """Time and detections of each frame; the model is called with a batch of frames."""
    detector, batch_size = self._detector, self._options.batch_size
    with overlap.Ahead(_batches(frames.timed(), batch_size)) as batches:
      for batch in batches:
        sources = [image_files.image_from_pixels(frame.pixels) for frame in batch]
        instances = predict_files.detect(detector, sources, batch_size)
        for frame, source, of_frame in zip(batch, sources, instances):
          found = predict_files.detected(detector, source, of_frame)
          if isinstance(found, InputError):
            raise found
          yield frame.time, found

  def _how_far(self, path: str, files: VideoFiles) -> str:
    """The message after an interruption."""
    where = f', in {" and ".join(files.paths)}' if files.paths else ''
    return (
      f'interrupted; {files.num_frames} frames of {path} are done{where}; '
      f'{self._num_done} of {self._num_videos} videos are complete'
    )


def _without_part(path: str) -> str:
  """The path of a video, changed if its files could be taken for the part of another video."""
  stem, suffix = os.path.splitext(path)
  return _OF_PART.sub(r'_\1', stem) + suffix


def _batches(frames: Iterator[TimedFrame], size: int) -> Iterator[list[TimedFrame]]:
  """Frames in lists of a size; the last list is shorter, also where reading ends with an error."""
  error: InputError | None = None
  while error is None:
    batch = []
    try:
      for frame in itertools.islice(frames, size):
        batch.append(frame)
    except InputError as raised:
      error = raised
    if batch:
      yield batch
    elif error is None:
      return
  raise error


def _line(number: int, time: float, shown: DetectedImage, ids: list[int] | None) -> dict[str, Any]:
  instances = instance_entries.entries_of(shown)
  if ids is not None:
    instances = [{**entry, 'track': id_} for entry, id_ in zip(instances, ids)]
  return {'frame': number, 'time': time, 'size': list(shown.size), 'instances': instances}
