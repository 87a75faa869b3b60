"""Prediction on image files, with overlays and COCO JSON as results.

Example:
  htc-predict --model=model --output=predictions street.jpg more_images/
"""

import argparse
import os
import sys

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.image_arguments import add_image_arguments, add_tile_arguments
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
  add('--model', required=True, help='model directory, checkpoint prefix or SavedModel folder')
  add_configuration_arguments(parser)
  add_views_argument(parser)
  add_ensemble_arguments(parser)
  add_image_arguments(parser)
  add_tile_arguments(parser)
  add(
    '--batch_size',
    type=int,
    default=1,
    help='images or tiles of one size that are computed together (default: 1)',
  )
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.serving import detectors, predict_files
  from htc_tf.serving.tiling import tiling_of

  file_systems.check_local(args.output, '--output')
  file_systems.check_local(args.annotations, '--annotations')
  tiling = tiling_of(args.tile_size, args.tile_overlap)
  paths = predict_files.list_images(args.inputs)
  detector = detectors.load_detector(
    args.model, args.experiment, args.params_override, args.tta, ensemble_of(args)
  )._replace(tiling=tiling)
  failed = predict_files.predict_files(
    detector,
    paths,
    args.output,
    args.score_threshold,
    args.batch_size,
    annotations=args.annotations,
    save=args.save,
    log=print,
  )
  if not file_systems.exists(os.path.join(args.model, 'saved_model.pb')):
    command.print_next('htc-export', f'--model={args.model}', '--output=export/1')
  return command.PARTIAL if failed else 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its status: 1 for unreadable images, else as `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
