"""Detects in pictures: writes overlays and COCO JSON.

Example:
  htc-predict --model=model --output=predictions street.jpg more_pictures/
"""

import argparse
import os
import sys

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-predict',
    description='Detects and segments instances in pictures; writes one '
    'overlay a picture and all detections as COCO JSON.',
  )
  add = parser.add_argument
  add('inputs', nargs='+', help='pictures, or folders of pictures')
  add('--model', required=True, help='model directory, checkpoint prefix or SavedModel folder')
  add('--output', required=True, help='folder for the overlays, predictions.json and images.json')
  add('--experiment', help='experiment a bare checkpoint belongs to')
  add('--params_override', default='', help='overrides of the configuration, as for training')
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
    from htc_tf.serving import detectors, predict_files

    paths = predict_files.list_images(args.inputs)
    detector = detectors.load_detector(args.model, args.experiment, args.params_override)
    failed = predict_files.predict_files(detector, paths, args.output, args.score_threshold)
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 1 if failed else 0


if __name__ == '__main__':
  sys.exit(main())
