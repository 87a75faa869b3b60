"""Export of a trained model as a SavedModel, or for other runtimes than TensorFlow.

Examples:
  htc-export --model=model --output=export/1
  htc-export --model=model --format=onnx --height=800 --width=1344 --output=onnx
"""

import argparse
import os
import re
import sys

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.model_arguments import (
  add_configuration_arguments,
  add_ensemble_arguments,
  add_views_argument,
  ensemble_of,
)
from htc_tf.errors import InputError
from htc_tf.serving import export_format as format_lib

# The names of `serving.runtimes.registry`, whose import takes seconds.
_RUNTIMES = ('onnx', 'openvino', 'tflite')
_OF_FRAMES = ('height', 'width', 'calibration_images')
_OF_SAVED_MODELS = ('boxes', 'masks', 'max_pixels', 'max_batch_size', 'no_warmup')


def _parser() -> argparse.ArgumentParser:
  default = format_lib.ExportFormat()
  parser = argparse.ArgumentParser(
    prog='htc-export',
    description='Write a SavedModel for TensorFlow Serving, with the signatures serving_default '
    '(uint8 images), image_bytes (JPEG or PNG files) and tf_example; or, with --format, a model '
    'for another runtime, which takes one image resized and padded to a fixed size.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder; its name is the version, e.g. export/1')
  add(
    '--format',
    choices=('saved_model', *_RUNTIMES),
    default='saved_model',
    help='form of the export; all but saved_model require the extra htc_tf[runtimes] '
    '(default: %(default)s)',
  )
  _add_frame_arguments(parser)
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


def _add_frame_arguments(parser: argparse.ArgumentParser) -> None:
  """Arguments that only exports for other runtimes have."""
  size = (
    'of the padded image, only with another --format than saved_model (default: the {} side of the '
    'resized images of the model, rounded up)'
  )
  parser.add_argument('--height', type=int, help=f'height {size.format("short")}')
  parser.add_argument('--width', type=int, help=f'width {size.format("long")}')
  parser.add_argument(
    '--calibration_images',
    nargs='+',
    metavar='PATH',
    help='images or folders of them, 50 or more of the kind that the model will see: convolutions '
    'compute in 8 bits (int8), with the ranges of activations in these images; only with '
    '--format=onnx',
  )


def _execute(args: argparse.Namespace) -> int:
  for path in args.calibration_images or ():
    file_systems.check_local(path, 'The images for 8 bits (--calibration_images)')
  _check_unused(args)
  folder = _saved_model(args) if args.format == 'saved_model' else _frame_model(args)
  print(folder)
  if args.format == 'saved_model' and not re.fullmatch('[0-9]+', os.path.basename(folder)):
    print(
      'note: TensorFlow Serving only loads folders whose name is a number; to serve this model, '
      f'export to {folder}/1',
      file=sys.stderr,
    )
  command.print_next('htc-predict', f'--model={folder}', '--output=served', 'IMAGE_OR_FOLDER')
  return 0


def _check_unused(args: argparse.Namespace) -> None:
  """Raise InputError if an option is given that the format does not have."""
  is_saved_model = args.format == 'saved_model'
  unused = _OF_FRAMES if is_saved_model else _OF_SAVED_MODELS
  default = _parser().parse_args(['--model=', '--output='])
  given = [f'--{name}' for name in unused if getattr(args, name) != getattr(default, name)]
  if given:
    raise InputError(
      f'An export of the format {args.format} does not have {" and ".join(given)}',
      expected='these options with --format=' + ('onnx' if is_saved_model else 'saved_model'),
      got=f'--format={args.format}',
      likely_cause='a SavedModel takes images of any size; other runtimes take single images '
      'padded to one size, and give masks inside boxes in pixels of the padded image',
    )


def _frame_model(args: argparse.Namespace) -> str:
  from htc_tf.serving import frame_export, loading

  frame_export.check_options(args.output, args.format, args.calibration_images)
  predictor = loading.load_model(
    args.model, args.experiment, args.params_override, args.tta, ensemble_of(args)
  )
  return frame_export.export_frame_model(
    predictor, args.output, args.format, args.height, args.width, args.calibration_images
  )


def _saved_model(args: argparse.Namespace) -> str:
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
  return export.export_saved_model(predictor, args.output, *options)


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
