"""Exports a trained model as a SavedModel.

Example:
  htc-export --model=model --output=export/1
"""

import argparse
import os
import sys

from htc_tf.errors import HTCError
from htc_tf.serving import export_format as format_lib


def _parser() -> argparse.ArgumentParser:
  default = format_lib.ExportFormat()
  parser = argparse.ArgumentParser(
    prog='htc-export',
    description='Writes a SavedModel with the signatures serving_default '
    '(uint8 pictures), image_bytes (JPEG or PNG files) and tf_example, for TensorFlow Serving.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder; its name is the version, e.g. export/1')
  add('--experiment', help='experiment a bare checkpoint belongs to')
  add('--params_override', default='', help='overrides of the configuration, as for training')
  add(
    '--boxes',
    choices=format_lib.BOXES,
    default=default.boxes,
    help='boxes in pixels of the picture, or 0..1 of its height and width (default: pixels)',
  )
  add(
    '--masks',
    choices=format_lib.MASKS,
    default=default.masks,
    help='28x28 probabilities inside the box (cropped, the default); pasted at the size of the '
    'picture, a byte a pixel (full) or a bit a pixel (packed)',
  )
  add(
    '--max_pixels',
    type=int,
    default=default.max_pixels,
    help='encoded pictures of more pixels get an error code (default: %(default)s)',
  )
  add(
    '--max_batch_size',
    type=int,
    default=8,
    help='pictures the server may put into one batch (default: %(default)s)',
  )
  add('--no_warmup', action='store_true', help='write no warm-up requests')
  return parser


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  try:
    from htc_tf.serving import export, loading

    options = (
      format_lib.ExportFormat(args.boxes, args.masks, args.max_pixels),
      not args.no_warmup,
      args.max_batch_size,
    )
    export.check_options(args.output, *options)
    predictor = loading.load_model(args.model, args.experiment, args.params_override)
    folder = export.export_saved_model(predictor, args.output, *options)
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(folder)
  if not os.path.basename(folder).isdigit():
    print(
      f'note: TensorFlow Serving loads folders named by a number alone; for it, export to '
      f'{folder}/1',
      file=sys.stderr,
    )
  return 0


if __name__ == '__main__':
  sys.exit(main())
