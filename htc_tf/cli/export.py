"""Export of a trained model as a SavedModel.

Example:
  htc-export --model=model --output=export/1
"""

import argparse
import os
import re
import sys

from htc_tf.cli import command
from htc_tf.cli.model_arguments import (
  add_configuration_arguments,
  add_ensemble_arguments,
  add_views_argument,
  ensemble_of,
)
from htc_tf.serving import export_format as format_lib


def _parser() -> argparse.ArgumentParser:
  default = format_lib.ExportFormat()
  parser = argparse.ArgumentParser(
    prog='htc-export',
    description='Write a SavedModel for TensorFlow Serving, with the signatures serving_default '
    '(uint8 images), image_bytes (JPEG or PNG files) and tf_example.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder; its name is the version, e.g. export/1')
  add_configuration_arguments(parser)
  add_views_argument(parser)
  add_ensemble_arguments(parser)
  add(
    '--boxes',
    choices=format_lib.BOXES,
    default=default.boxes,
    help='boxes in pixels of the image, or normalized to 0..1 of its height and width (default: '
    'pixels)',
  )
  add(
    '--masks',
    choices=format_lib.MASKS,
    default=default.masks,
    help='cropped: 28x28 probabilities inside the box; full: of the size of the image, one byte '
    'per pixel; packed: as full, one bit per pixel (default: cropped)',
  )
  add(
    '--max_pixels',
    type=int,
    default=default.max_pixels,
    help='encoded images with more pixels get an error code (default: %(default)s)',
  )
  add(
    '--max_batch_size',
    type=int,
    default=8,
    help='largest batch that the server may form (default: %(default)s)',
  )
  add('--no_warmup', action='store_true', help='write no warm-up requests')
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.serving import export, loading

  options = (
    format_lib.ExportFormat(args.boxes, args.masks, args.max_pixels),
    not args.no_warmup,
    args.max_batch_size,
  )
  export.check_options(args.output, *options)
  predictor = loading.load_model(
    args.model, args.experiment, args.params_override, args.tta, ensemble_of(args)
  )
  folder = export.export_saved_model(predictor, args.output, *options)
  print(folder)
  if not re.fullmatch('[0-9]+', os.path.basename(folder)):
    print(
      'note: TensorFlow Serving only loads folders whose name is a number; to serve this model, '
      f'export to {folder}/1',
      file=sys.stderr,
    )
  command.print_next('htc-predict', f'--model={folder}', '--output=served', 'IMAGE_OR_FOLDER')
  return 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
