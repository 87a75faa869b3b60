"""Prediction on images and streams of paths, which the commands have in common."""

import argparse
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from htc_tf import file_systems
from htc_tf.cli import command, stream

if TYPE_CHECKING:
  from htc_tf.serving.predict_files import Detector


def predict(
  args: argparse.Namespace,
  load: Callable[[], contextlib.AbstractContextManager['Detector']],
) -> int:
  """Predict as the flags of `add_image_arguments` say, and return the exit status.

  Args:
    args: the flags.
    load: function that returns a context with the detector.
  """
  from htc_tf.serving import predict_files, score_thresholds

  file_systems.check_local(args.output, '--output')
  file_systems.check_local(args.annotations, '--annotations')
  if stream.is_stream(args):
    return stream.predict(args, score_thresholds.read(args.thresholds, args.score_threshold), load)
  paths = predict_files.list_images(args.inputs)
  thresholds = score_thresholds.read(args.thresholds, args.score_threshold)
  with load() as detector:
    failed = predict_files.predict_files(
      detector,
      paths,
      args.output,
      thresholds,
      args.batch_size,
      args.annotations,
      args.save,
      print,
    )
  return command.PARTIAL if failed else 0
