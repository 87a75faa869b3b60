"""Prediction on images, videos and streams of paths, which the commands have in common."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.detection import stream
from htc_tf.errors import InputError

if TYPE_CHECKING:
  from htc_tf.serving.predict_files import Detector
  from htc_tf.serving.score_thresholds import ScoreThresholds


class _Inputs(NamedTuple):
  """Paths of images and videos."""

  images: Sequence[str]
  videos: Sequence[str]


def predict(
  args: argparse.Namespace,
  load: Callable[[], contextlib.AbstractContextManager['Detector']],
) -> int:
  """Predict as the flags of `add_image_arguments` say, and return the exit status.

  Args:
    args: the flags.
    load: function that returns a context with the detector.
  """
  from htc_tf.serving import score_thresholds
  from htc_tf.serving.video import inputs as video_inputs

  file_systems.check_local(args.output, '--output')
  file_systems.check_local(args.annotations, '--annotations')
  if stream.is_stream(args):
    return stream.predict(args, score_thresholds.read(args.thresholds, args.score_threshold), load)
  inputs = _Inputs(*video_inputs.list_images_and_videos(args.inputs))
  thresholds = score_thresholds.read(args.thresholds, args.score_threshold)
  _check(args, inputs)
  with load() as detector:
    failed = _predict_inputs(detector, args, inputs, thresholds)
  return command.PARTIAL if failed else 0


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
