"""Prediction on images, videos and streams of paths, which the commands have in common."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.detection import stream
from htc_tf.errors import InputError

if TYPE_CHECKING:
  from htc_tf.serving.predict_files import Detector
  from htc_tf.serving.score_thresholds import ScoreThresholds
  from htc_tf.serving.tiling import Tiling


_Load: TypeAlias = Callable[[], contextlib.AbstractContextManager['Detector']]


class _Inputs(NamedTuple):
  """Paths of images and videos."""

  images: Sequence[str]
  videos: Sequence[str]


def predict(
  args: argparse.Namespace,
  load: _Load,
) -> int:
  """Predict as the flags of `add_image_arguments` say, and return the exit status.

  Args:
    args: the flags.
    load: function that returns a context with the detector.
  """
  from htc_tf.serving import score_thresholds
  from htc_tf.serving.tiling import tiling_of
  from htc_tf.serving.video import inputs as video_inputs

  load = _in_tiles(load, tiling_of(args.tile_size, args.tile_overlap))
  file_systems.check_local(args.output, '--output')
  file_systems.check_local(args.annotations, '--annotations')
  for name in ('output', 'annotations', 'thresholds'):
    file_systems.check_given(getattr(args, name), f'--{name}')
  if stream.is_stream(args):
    return stream.predict(args, score_thresholds.read(args.thresholds, args.score_threshold), load)
  inputs = _Inputs(*video_inputs.list_images_and_videos(args.inputs))
  thresholds = score_thresholds.read(args.thresholds, args.score_threshold)
  _check(args, inputs)
  with load() as detector:
    failed = _predict_inputs(detector, args, inputs, thresholds)
  return command.PARTIAL if failed else 0


def _in_tiles(load: _Load, tiling: 'Tiling | None') -> _Load:
  """A function like `load` whose detector sees large images in tiles."""

  @contextlib.contextmanager
  def load_tiled() -> Iterator['Detector']:
    with load() as detector:
      yield detector._replace(tiling=tiling)

  return load_tiled


def _check(args: argparse.Namespace, inputs: _Inputs) -> None:
  """Raise InputError unless the flags can be used for the inputs, before the model is loaded."""
  from htc_tf.serving.video import predict_video

  if inputs.videos:
    predict_video.VideoOptions(args.output, batch_size=args.batch_size, save=args.save).check(
      inputs.videos
    )
  wrong = [
    (inputs.videos and args.annotations, 'images alone with --annotations', inputs.videos[:1]),
    (args.track and not inputs.videos, 'a video with --track', inputs.images[:1]),
  ]
  for is_wrong, expected, got in wrong:
    if is_wrong:
      raise InputError('The prediction cannot start', expected=expected, got=', '.join(got))


def _predict_inputs(
  detector: 'Detector',
  args: argparse.Namespace,
  inputs: _Inputs,
  thresholds: 'ScoreThresholds',
) -> list[str]:
  """Predict on images, then on videos, and return the paths that failed."""
  from htc_tf.serving import predict_files
  from htc_tf.serving.video import predict_video

  failed = []
  if inputs.images:
    failed += predict_files.predict_files(
      detector,
      inputs.images,
      args.output,
      thresholds,
      args.batch_size,
      args.annotations,
      args.save,
      print,
    )
  if inputs.videos:
    options = predict_video.VideoOptions(
      args.output, thresholds, args.batch_size, args.save, args.track
    )
    failed += predict_video.predict_videos(detector, inputs.videos, options, print)
  return failed
