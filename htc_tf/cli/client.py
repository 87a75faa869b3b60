"""Detects in pictures by a model on TensorFlow Serving: writes overlays and COCO JSON.

Example:
  htc-client --server=grpc://localhost:8500 --export=export/1 --output=predictions street.jpg
"""

import argparse
import os
import sys

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-client',
    description='Sends pictures to a model on TensorFlow Serving; writes one '
    'overlay a picture and all detections as COCO JSON.',
  )
  add = parser.add_argument
  add('inputs', nargs='+', help='pictures, or folders of pictures')
  add('--server', required=True, help='grpc://host:8500, http://host:8501 or https://host')
  add('--output', required=True, help='folder for the overlays, predictions.json and images.json')
  add(
    '--export',
    metavar='FOLDER',
    help='the exported folder, or a copy of its export.json and '
    'categories.json: the form of boxes and masks, and the names of the classes',
  )
  add('--model_name', default='htc', help='name of the model on the server (default: htc)')
  add('--model_version', type=int, help='its version (default: the one the server prefers)')
  add('--batch_size', type=int, default=1, help='pictures sent at once (default: 1)')
  add(
    '--timeout', type=float, default=60.0, help='seconds a request may take (default: %(default)g)'
  )
  add(
    '--score_threshold',
    type=float,
    default=0.3,
    help='least score drawn; the JSON holds every detection (default: 0.3)',
  )
  return parser


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, 1 if pictures were left out, 2 after an error."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  try:
    from htc_tf.serving import client, predict_files
    from htc_tf.serving.target import Target

    paths = predict_files.list_images(args.inputs)
    target = Target(args.server, args.model_name, args.model_version, args.timeout)
    detector = client.remote_detector(target, args.export)
    failed = predict_files.predict_files(
      detector, paths, args.output, args.score_threshold, args.batch_size
    )
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 1 if failed else 0


if __name__ == '__main__':
  sys.exit(main())
