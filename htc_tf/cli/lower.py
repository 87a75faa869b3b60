"""Lowers detection to a StableHLO program.

Example:
  htc-lower --model=model --height=800 --width=1344 --output=program
"""

import argparse
import os
import sys

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-lower',
    description='Writes detection on images of one padded size as a StableHLO '
    'program with its weights as arguments, for compilers other than TensorFlow.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder')
  add('--height', type=int, default=800, help='of the padded image (default: %(default)s)')
  add('--width', type=int, default=1344, help='likewise (default: %(default)s)')
  add('--batch_size', type=int, default=1, help='images a call (default: %(default)s)')
  add('--experiment', help='experiment a bare checkpoint belongs to')
  add('--params_override', default='', help='overrides of the configuration, as for training')
  return parser


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  try:
    from htc_tf.serving import loading, lowering

    model = loading.load_model(args.model, args.experiment, args.params_override).model
    lowered = lowering.lower_detection(model, (args.height, args.width), args.batch_size)
    print(lowering.write_program(lowered, args.output))
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
