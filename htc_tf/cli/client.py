"""Prediction by a model on TensorFlow Serving, with overlays and COCO JSON as results.

Example:
  htc-client --server=grpc://localhost:8500 --export=export/1 --output=predictions street.jpg
"""

import argparse
import contextlib
import sys

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.image_arguments import add_image_arguments, add_tile_arguments


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-client',
    description='Send images to a model on TensorFlow Serving; write an overlay for each image, '
    'and all detections as COCO JSON.',
  )
  add = parser.add_argument
  add('--server', required=True, help='grpc://host:8500, http://host:8501 or https://host')
  add(
    '--export',
    metavar='FOLDER',
    help='exported folder, or a copy of its export.json and categories.json; it defines the form '
    'of boxes and masks, and the names of the classes',
  )
  add('--model_name', default='htc', help='name of the model on the server (default: htc)')
  add('--model_version', type=int, help='version of the model (default: chosen by the server)')
  add('--batch_size', type=int, default=1, help='images, or tiles, per request (default: 1)')
  add(
    '--timeout', type=float, default=60.0, help='time limit of a request in seconds (default: 60)'
  )
  add_image_arguments(parser)
  add_tile_arguments(parser)
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.serving import client, predict_files
  from htc_tf.serving.target import Target
  from htc_tf.serving.tiling import tiling_of

  file_systems.check_local(args.output, '--output')
  file_systems.check_local(args.annotations, '--annotations')
  tiling = tiling_of(args.tile_size, args.tile_overlap)
  paths = predict_files.list_images(args.inputs)
  target = Target(args.server, args.model_name, args.model_version, args.timeout)
  with contextlib.closing(client.remote_detector(target, args.export)) as detector:
    failed = predict_files.predict_files(
      detector._replace(tiling=tiling),
      paths,
      args.output,
      args.score_threshold,
      args.batch_size,
      args.annotations,
      args.save,
      print,
    )
  return command.PARTIAL if failed else 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its status: 1 for unreadable images, else as `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
