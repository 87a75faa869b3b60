"""Prediction on image files, with overlays and COCO JSON as results.

Example:
  htc-predict --model=model --output=predictions street.jpg more_images/
"""

import argparse
import contextlib
import sys

from htc_tf.cli import command
from htc_tf.cli.detection import prediction, stream
from htc_tf.cli.image_arguments import add_image_arguments
from htc_tf.cli.model_arguments import (
  add_configuration_arguments,
  add_ensemble_arguments,
  add_views_argument,
  ensemble_of,
)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-predict',
    description='Detect and segment instances in images; write an overlay for each image, and all '
    'detections as COCO JSON.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory, checkpoint prefix, or folder of an export')
  add_configuration_arguments(parser)
  add_views_argument(parser)
  add_ensemble_arguments(parser)
  add_image_arguments(parser)
  add(
    '--constant_weights',
    action='store_true',
    help='make the weights of a model directory constants of the graph: 5%% less time for an image '
    'on a CPU after a slow start with much memory, for hundreds of images (an export has constants '
    'anyway)',
  )
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.serving import detectors

  def load() -> contextlib.AbstractContextManager:
    return contextlib.nullcontext(
      detectors.load_detector(
        args.model,
        args.experiment,
        args.params_override,
        args.tta,
        ensemble_of(args),
        args.constant_weights,
      )
    )

  status = prediction.predict(args, load)
  if args.inputs != [stream.STREAM] and not detectors.is_export(args.model):
    command.print_next('htc-export', f'--model={args.model}', '--output=export/1')
  return status


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its status: 1 for unreadable images, else as `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
