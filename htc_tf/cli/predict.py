"""Prediction on image files, with overlays and COCO JSON as results.

Example:
  htc-predict --model=model --output=predictions street.jpg more_images/
"""

import argparse
import sys

from htc_tf import file_systems
from htc_tf.cli import command
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
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.serving import detectors, predict_files

  file_systems.check_local(args.output, '--output')
  file_systems.check_local(args.annotations, '--annotations')
  paths = predict_files.list_images(args.inputs)
  detector = detectors.load_detector(
    args.model, args.experiment, args.params_override, args.tta, ensemble_of(args)
  )
  failed = predict_files.predict_files(
    detector,
    paths,
    args.output,
    args.score_threshold,
    annotations=args.annotations,
    save=args.save,
    log=print,
  )
  if not detectors.is_export(args.model):
    command.print_next('htc-export', f'--model={args.model}', '--output=export/1')
  return command.PARTIAL if failed else 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its status: 1 for unreadable images, else as `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
